/**
 * Can the driver read the database's URL, and does it read what was meant? A password with a special character that is
 * not percent-encoded ends the URL's host too early: the driver then throws an error that holds the URL, or asks a host
 * that is named after the login. What is said here names the variable and never the URL.
 */

/** As the driver (postgres 3.4.9) takes it apart. */
export function isReadable(url: string): boolean {
  const [, authority = '', rest = ''] = /^\w+:\/\/([^/?#]*)(.*)$/s.exec(url) ?? [];
  const [login = '', hosts = login, ...more] = authority.split('@');
  // An @ in what seems to be a path or a query is the one after the password, unless a parameter holds it.
  if (more.length > 0 || (hosts === login && /^[^=]*@/s.test(rest))) return false;
  try {
    const host = decodeURIComponent(hosts);
    const { username, password } = new URL(url.replace(host, host.split(',')[0] ?? ''));
    // Throws where a percent sign stands for itself.
    decodeURIComponent(username + password);
    return true;
  } catch {
    return false;
  }
}

export function unreadable(variable: string): string {
  return `${variable} cannot be read as a URL; percent-encode what is special in its user and password: % is %25, / is %2F, ? is %3F, # is %23, @ is %40`;
}
