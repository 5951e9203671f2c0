// Whether a URL answers 2xx, for images without a shell or curl; by default this container's own liveness. It asks
// whether somebody answers there, not who: a certificate names the service, and not the address that is asked here.
import http from 'node:http';
import https from 'node:https';

const scheme = process.env.MUSTER_TLS_CERT_FILE ? 'https' : 'http';
const port = process.env.MUSTER_LISTEN_PORT ?? '8080';
const url = process.argv[2] ?? `${scheme}://127.0.0.1:${port}/healthz`;
const options = { timeout: 3_000, rejectUnauthorized: false };

const request = (url.startsWith('https:') ? https : http).get(url, options, (answer) => {
  const { statusCode = 0 } = answer;
  let text = '';
  answer.setEncoding('utf8');
  answer.on('data', (/** @type {string} */ chunk) => (text += chunk));
  answer.on('end', () => {
    console.log(`${url}: ${statusCode} ${text}`);
    process.exitCode = statusCode >= 200 && statusCode < 300 ? 0 : 1;
  });
});
request.on('timeout', () => request.destroy(new Error('no answer within 3 s')));
request.on('error', (error) => {
  console.error(`${url}: ${error}`);
  process.exitCode = 1;
});
