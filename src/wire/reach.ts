/** What a proof that is made out for some channels suffices for: one rule, for the API that judges and the page that shows. */

/** Null: everything. */
export type Channels = readonly string[] | null;

/** Why a command that reaches `about` is beyond `channels`; null when it is not. */
export function beyondScope(channels: Channels, about: Channels): string | null {
  if (channels === null) return null;
  if (about !== null && about.length > 0 && about.every((one) => channels.includes(one)))
    return null;
  return `may command ${channels.join(', ')}, and this reaches ${reachText(about)}: it takes a token that may command all of that`;
}

function reachText(about: Channels): string {
  if (about === null) return 'the whole fleet';
  return about.length === 0 ? 'a host that no channel has' : about.join(', ');
}
