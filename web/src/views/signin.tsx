/** Asks for a credential; nothing of the fleet is shown before the server accepted it. */
import { useState } from 'preact/hooks';
import { get, type ApiError } from '../api.ts';
import { Problem } from '../parts/basics.tsx';
import { signIn, signOut } from '../session.ts';

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
          if (text.trim() !== '') void submit();
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
        <button class="primary" type="submit" disabled={busy}>
          Sign in
        </button>
      </form>
    </main>
  );
}
