import type { ApprovalRequest } from '../issuer/ciba/approval-requests.ts';
import type { Invite } from '../passkeys/invites.ts';
import type { Passkey } from '../passkeys/passkey-rows.ts';
import { nameOf } from '../passkeys/passkeys.ts';
import { approvalSection } from './approval-section.ts';
import { text } from './page-text.ts';
import type { PersonSession } from './person-sessions.ts';

/** @param mode what the script does with it; `path` where it asks */
function page(
  title: string,
  { mode, path, body }: { readonly mode?: string; readonly path?: string; readonly body: string },
): string {
  const data =
    mode === undefined ? '' : ` data-mode="${text(mode)}" data-path="${text(path ?? '')}"`;
  const scripts =
    mode === undefined
      ? ''
      : '<script src="/login/simplewebauthn.js" defer></script><script src="/login/login.js" defer></script>';
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${text(title)}</title>
<link rel="stylesheet" href="/login/login.css">
${scripts}
</head>
<body>
<main${data}>
<h1>${text(title)}</h1>
<p id="message" role="alert"></p>
${body}
</main>
</body>
</html>
`;
}

/** Where a person signs in to an application. */
export function loginPage(options: {
  readonly name: string;
  readonly uid: string;
  readonly clientId: string;
  readonly isHigher: boolean;
}): string {
  const { name, uid, clientId, isHigher } = options;
  return page(`Sign in at ${name}`, {
    mode: 'login',
    path: `/interaction/${uid}`,
    body: `<p><strong>${text(clientId)}</strong> asks who you are.${isHigher ? ' It asks for your security key.' : ''}</p>
<p><button id="sign-in" type="button">Sign in with a passkey</button>
<button id="abort" type="button" class="plain">Do not sign in</button></p>`,
  });
}

/** Where a person registers a passkey by a one-time code. */
export function enrolPage(name: string): string {
  return page(`Register a passkey at ${name}`, {
    mode: 'enrol',
    path: '/enrol',
    body: `<p><label>One-time code <input id="code" autocomplete="one-time-code" autocapitalize="characters" spellcheck="false" maxlength="100"></label></p>
<p><label>A name for it <input id="label" maxlength="64" placeholder="my laptop"></label></p>
<p><button id="enrol" type="button">Register a passkey</button>
<button id="enrol-hardware" type="button" class="plain">Register a security key of the bank</button></p>`,
  });
}

/** The own page, before anybody signed in to it. */
export function accountLoginPage(name: string): string {
  return page(`Your sign-ins at ${name}`, {
    mode: 'account-login',
    path: '/account',
    body: '<p><button id="sign-in" type="button">Sign in with a passkey</button></p>',
  });
}

/** A person's own page: sessions, passkeys, and recoveries to approve for those who may. */
export function accountPage(options: {
  readonly name: string;
  readonly session: PersonSession;
  readonly sessions: readonly PersonSession[];
  readonly approvals: readonly ApprovalRequest[];
  readonly passkeys: readonly Passkey[];
  readonly recoveries: readonly Invite[];
}): string {
  const { name, session, sessions, passkeys, recoveries } = options;
  const at = (ms: number | undefined) => (ms === undefined ? 'never' : new Date(ms).toISOString());
  const row = (cells: readonly string[], button: string) =>
    `<tr>${cells.map((cell) => `<td>${text(cell)}</td>`).join('')}<td>${button}</td></tr>`;
  const button = (action: string, id: string, label: string) =>
    `<button type="button" data-action="${action}" data-id="${text(id)}">${label}</button>`;
  const table = (heads: readonly string[], rows: readonly string[]) =>
    `<table><thead><tr>${heads.map((head) => `<th>${head}</th>`).join('')}<th></th></tr></thead><tbody>${rows.join('\n')}</tbody></table>`;
  return page(`Your sign-ins at ${name}`, {
    mode: 'account',
    path: '/account',
    body: `<p>You are <strong>${text(nameOf(session.subject))}</strong>. <button id="sign-out" type="button" class="plain">Sign out here</button></p>
${approvalSection(options.approvals)}
<h2>Sessions</h2>
${table(
  ['Where', 'Since', 'Passkey asked', 'Ends', 'Unused until', 'Address', 'Level'],
  sessions.map((each) =>
    row(
      [
        each.id === session.id ? 'this page' : each.place,
        at(each.startedAtMs),
        at(each.authTimeMs),
        at(each.endsAtMs),
        at(each.idleEndsAtMs),
        each.ip,
        each.acr,
      ],
      button('end-session', each.id, 'End'),
    ),
  ),
)}
<h2>Passkeys</h2>
${table(
  ['Name', 'Registered', 'Last used', 'Kind', 'State'],
  passkeys.map((each) =>
    row(
      [
        each.label,
        at(each.createdAtMs),
        at(each.lastUsedAtMs),
        each.acr === 'phrh' ? 'hardware' : each.isSynced ? 'synced' : 'device',
        each.disabledReason ?? 'in use',
      ],
      each.disabledAtMs === undefined ? button('remove-passkey', each.credentialId, 'Remove') : '',
    ),
  ),
)}
<p><label>A name for it <input id="label" maxlength="64"></label>
<button id="add" type="button">Add a passkey</button>
<button id="add-hardware" type="button" class="plain">Add a security key of the bank</button></p>
${
  recoveries.length === 0
    ? ''
    : `<h2>Recoveries that wait for you</h2>
<p>Approve only what you spoke about with the person, face to face or by a number that you know.</p>
${table(
  ['Person', 'Code', 'Asked by', 'Until'],
  recoveries.map((each) =>
    row(
      [nameOf(each.subject), each.id, each.madeBy, at(each.expiresAtMs)],
      button('approve-recovery', each.id, 'Approve'),
    ),
  ),
)}`
}`,
  });
}

/** What went wrong, in words for whoever is in front of it. */
export function errorPage(error: string, description = ''): string {
  return page('This did not work', {
    body: `<p>${text(error)}</p><p>${text(description)}</p><p>Go back to the application and begin again.</p>`,
  });
}
