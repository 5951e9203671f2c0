/** Asks for a credential; nothing of the fleet is shown before the server accepted it. */
import { useState } from 'preact/hooks';
import { isOfToken, unsendable } from '../../../src/wire/token.ts';
import { ApiError, get } from '../api.ts';
import { Problem } from '../parts/basics.tsx';
import { signIn, signOut } from '../session.ts';

/** What no token mends: a certificate is asked before it. One that holds and is no operator's is an agent's. */
function isOfCertificate({ code, proof }: ApiError): boolean {
  return code === 'wrong-identity' || (proof !== null && !isOfToken(proof));
}

export function SignIn({
  refused,
  onAccepted,
}: {
  readonly refused: ApiError | null;
  readonly onAccepted: () => void;
}) {
  const [text, setText] = useState('');
  const [error, setError] = useState(refused);
  const [busy, setBusy] = useState(false);
  const submit = async (): Promise<void> => {
    const wrong = unsendable(text.trim());
    if (wrong !== null) {
      setError(new ApiError(0, 'unsendable', `the token ${wrong}`));
      return;
    }
    setBusy(true);
    signIn(text);
    try {
      await get('/v1/whoami');
      onAccepted();
    } catch (problem) {
      signOut();
      setError(problem as ApiError);
    } finally {
      setBusy(false);
    }
  };
  return (
    <main class="signin">
      <h1>Muster</h1>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (!busy && text.trim() !== '') void submit();
        }}
      >
        <label>
          Operator token
          <input
            type="password"
            autocomplete="off"
            spellcheck={false}
            required
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </label>
        <p class="muted">
          Made by <code>muster token create</code>. Kept in this tab until you close it. Under{' '}
          <code>muster dev</code>, write <code>operator:</code> and your name.
        </p>
        <Problem error={error} />
        {error !== null && isOfCertificate(error) ? (
          <p class="notice">
            This browser presents a certificate, which counts before any token. Renew it, or have
            the browser present another one or none; most ask again only after a restart.
          </p>
        ) : null}
        <button class="primary" type="submit" aria-disabled={busy}>
          Sign in
        </button>
      </form>
    </main>
  );
}
