import type { DeviceReport } from '../devices/device.ts';
import type { Approval } from '../issuer/authorization-details/detail-rules.ts';
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
  /** Where they may sign in instead. */
  readonly providers: readonly { readonly name: string; readonly displayName: string }[];
  /** What they approve by it, beside being who they are. */
  readonly approvals: readonly Approval[];
}): string {
  const { name, uid, clientId, isHigher, providers, approvals } = options;
  const links = providers.map(
    (each) =>
      `<p><a class="button" href="/interaction/${uid}/idp?with=${text(each.name)}">Sign in with ${text(each.displayName)}</a></p>\n`,
  );
  return page(`Sign in at ${name}`, {
    mode: 'login',
    path: `/interaction/${uid}`,
    body: `<p><strong>${text(clientId)}</strong> asks who you are.${isHigher ? ' It asks for your security key.' : ''}</p>
${approvals.map(approval).join('\n')}
${links.join('')}<p><button id="sign-in" type="button">${approvals.length > 0 ? 'Approve' : 'Sign in'} with a passkey</button>
<button id="abort" type="button" class="plain">Do not sign in</button></p>`,
  });
}

/** Where somebody who came by an identity provider is asked for a passkey beside that. */
export function stepUpPage(options: {
  readonly name: string;
  readonly uid: string;
  readonly clientId: string;
  readonly subject: string;
  readonly displayName: string;
  readonly isHigher: boolean;
  readonly approvals: readonly Approval[];
}): string {
  const { name, uid, clientId, subject, displayName, isHigher, approvals } = options;
  const word = approvals.length > 0 ? 'Approve' : 'Go on';
  return page(`Sign in at ${name}`, {
    mode: 'login',
    path: `/interaction/${uid}`,
    body: `<p>${text(displayName)} says that you are <strong>${text(nameOf(subject))}</strong>. <strong>${text(clientId)}</strong> asks for ${isHigher ? 'your security key' : 'your passkey'} beside that.</p>
${approvals.map(approval).join('\n')}
<p><button id="sign-in" type="button">${word} with ${isHigher ? 'the security key' : 'the passkey'}</button>
<button id="abort" type="button" class="plain">Do not sign in</button></p>
<p><a href="/interaction/${uid}?choose">This is not me</a></p>`,
  });
}

/** Somebody who came by an identity provider, and has no passkey to be asked for. */
export function noPasskeyPage(options: {
  readonly uid: string;
  readonly clientId: string;
  readonly subject: string;
  readonly displayName: string;
}): string {
  const { uid, clientId, subject, displayName } = options;
  return page('You need a passkey', {
    mode: 'login',
    path: `/interaction/${uid}`,
    body: `<p>${text(displayName)} says that you are <strong>${text(nameOf(subject))}</strong>. <strong>${text(clientId)}</strong> asks for a passkey beside that, and you have none here.</p>
<p>Ask whoever runs the sign-in at the bank for a one-time code: in person, or at a number that you know. Register a passkey with it at <a href="/enrol">the page for that</a>. Then begin again in the application.</p>
<p><button id="abort" type="button" class="plain">Back to the application</button></p>`,
  });
}

const DETOURS = {
  away: 'does not answer now.',
  declined: 'did not sign you in.',
  refused:
    'could not sign you in here. If this goes on, tell whoever runs the sign-in at the bank.',
} as const;

/** Signing in at an identity provider did not work; the application's request still stands. */
export function detourPage(options: {
  readonly uid: string;
  readonly kind: keyof typeof DETOURS;
  readonly displayName: string;
}): string {
  const { uid, kind, displayName } = options;
  return page('This did not work', {
    body: `<p>${text(displayName)} ${DETOURS[kind]}</p>
<p><a class="button" href="/interaction/${uid}?choose">Sign in another way</a></p>
<p>Or go back to the application and begin again.</p>`,
  });
}

/** What a person approves, in words; whatever the application wrote is text. */
function approval({ title, lines }: Approval): string {
  const rows = lines.map(
    ({ label, text: value }) =>
      `<tr><th scope="row">${text(label)}</th><td>${text(value)}</td></tr>`,
  );
  return `<section class="approval"><h2>You approve: ${text(title)}</h2>
<table><tbody>${rows.join('\n')}</tbody></table></section>`;
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
  /** What a session is narrowed to, in words. */
  readonly narrowedTo: (session: string) => string | undefined;
  readonly approvals: readonly ApprovalRequest[];
  readonly devices: readonly DeviceReport[];
  readonly passkeys: readonly Passkey[];
  readonly recoveries: readonly Invite[];
}): string {
  const { name, session, sessions, devices, passkeys, recoveries } = options;
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
  ['Where', 'Since', 'Passkey asked', 'Ends', 'Unused until', 'Address', 'Level', 'Good for'],
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
        options.narrowedTo(each.id) ?? 'all that you may',
      ],
      button('end-session', each.id, 'End'),
    ),
  ),
)}
${
  devices.length === 0
    ? ''
    : `<h2>Devices</h2>
${table(
  ['Name', 'Serial number', 'Enrolled', 'Certificate ends', 'State'],
  devices.map((each) =>
    row(
      [
        nameOf(each.id),
        each.identifiers.serial ?? '',
        at(each.enrolledAtMs),
        at(each.certificateEndsAtMs),
        each.state,
      ],
      each.state === 'revoked' ? '' : button('end-device', each.id, 'It is lost or stolen'),
    ),
  ),
)}`
}
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
