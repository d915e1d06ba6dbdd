import {
  AUTHORITY_KINDS,
  type AuthorityKind,
  type AuthoritySlot,
  type AuthorityStatus,
} from '@countersign/identity';
import {
  type Arguments,
  type Command,
  EXIT,
  type Io,
  type OptionSpec,
  UsageError,
} from '../command-line/command.ts';
import { printable } from '../record/printable.ts';
import { authorityOf, print, reasonOf, shared } from './options.ts';

/** What `GET /v1/ca` answers. */
export type CaStatus = Readonly<Record<AuthorityKind, AuthorityStatus>>;

const reason: OptionSpec = { type: 'string', value: 'TEXT', help: 'why; kept in the record' };

/** `countersign ca show` */
export const caShowCommand: Command = {
  name: 'ca show',
  summary: 'show the X.509, JWT and token authorities: which issues, until when, what comes next',
  operands: '[x509|jwt|token]',
  operandsMax: 1,
  description:
    "Asks the authority that runs on this data folder. `prepared` is in the bundle and issues nothing yet, `active` issues, `old` is in the\nbundle until what it issued is over, `tainted` is in no bundle. Of kind `token`, which\nsigns access and ID tokens, the bundle is the issuer's JWK Set. Exit code 1 when the next one could not be had, or should be there by now.",
  options: { data: shared.data, json: shared.json },
  examples: ['countersign ca show', 'countersign ca show x509 --json'],
  async run(args, io) {
    const [kind] = args.operands;
    const shown = kind === undefined ? AUTHORITY_KINDS : [kindOf(args)];
    const status = await authorityOf(args, io).call<CaStatus>('GET', '/v1/ca');
    const value =
      kind === undefined ? status : Object.fromEntries(shown.map((each) => [each, status[each]]));
    print(io, args, value, shown.flatMap((each) => linesOf(each, status[each])).join('\n'));
    return shown.some((each) => status[each].trouble || status[each].isOverdue)
      ? EXIT.negative
      : EXIT.ok;
  },
};

/** `countersign ca prepare` */
export const caPrepareCommand: Command = {
  name: 'ca prepare',
  summary: 'make the next authority and publish it: everybody trusts it before it issues',
  operands: '<x509|jwt|token>',
  operandsMax: 1,
  description:
    'Makes a key and, for x509, has its certificate signed by the upstream authority where there is one. Enforcement points, nodes and workloads\nof the SDK hear of it within moments; partners that fetch the bundle, within its refresh hint. Where one is prepared already, that is the answer.',
  options: { data: shared.data, json: shared.json },
  examples: ['countersign ca prepare x509'],
  run: (args, io) => step(args, io, { word: 'prepare', done: 'prepared' }),
};

/** `countersign ca activate` */
export const caActivateCommand: Command = {
  name: 'ca activate',
  summary: 'let the prepared authority issue from now on; the one before becomes old',
  operands: '<x509|jwt|token> [ID]',
  operandsMax: 2,
  description:
    'What the one before issued stays good until it ends. Without ID it is the one that is prepared. Partners that federate must have heard\nof it: let the refresh hint of the bundle (5 minutes or less) pass three times after it was prepared, as the schedule does.',
  options: { data: shared.data, json: shared.json },
  examples: ['countersign ca activate x509'],
  run: (args, io) => {
    const [, id] = args.operands;
    return step(args, io, {
      ...{ word: 'activate', done: 'activated' },
      body: id === undefined ? {} : { id },
    });
  },
};

/** `countersign ca taint` */
export const caTaintCommand: Command = {
  name: 'ca taint',
  summary:
    'take an authority out of the bundle at once: what it issued is refused and issued again',
  operands: '<x509|jwt|token> ID',
  operandsMax: 2,
  description:
    'For a key that may be in other hands. Enforcement points and workloads close what was opened with its SVIDs, and every host gets new ones\nat once: with an SVID of it that was really issued it can still renew, and nothing else. One that is active is refused: prepare and\nactivate another first. Of kind `token`: clients get other tokens as they do when one ends; sessions go on.',
  options: { data: shared.data, json: shared.json, reason },
  examples: ["countersign ca taint x509 3f0a…c2 --reason 'backup of the key was found'"],
  run: (args, io) => step(args, io, { word: 'taint', done: 'tainted', body: named(args) }),
};

/** `countersign ca revoke` */
export const caRevokeCommand: Command = {
  name: 'ca revoke',
  summary: 'forget a tainted authority and its key: nothing that it issued is renewed any more',
  operands: '<x509|jwt|token> ID',
  operandsMax: 2,
  description:
    'A host that did not renew since the authority was tainted needs a new join token afterwards.',
  options: { data: shared.data, json: shared.json, reason },
  examples: ["countersign ca revoke x509 3f0a…c2 --reason 'every host has renewed'"],
  run: (args, io) => step(args, io, { word: 'revoke', done: 'revoked', body: named(args) }),
};

async function step(
  args: Arguments,
  io: Io,
  {
    word,
    done,
    body = {},
  }: { readonly word: string; readonly done: string; readonly body?: object },
): Promise<number> {
  const kind = kindOf(args);
  const slot = await authorityOf(args, io).call<AuthoritySlot>(
    'POST',
    `/v1/ca/${kind}/${word}`,
    body,
  );
  print(io, args, slot, `${done} ${kind} ${slot.id}`);
  return EXIT.ok;
}

function named(args: Arguments): { readonly id: string; readonly reason: string } {
  const [, id] = args.operands;
  if (!id) throw new UsageError("found no ID, expected one of 'countersign ca show'");
  const why = reasonOf(args);
  return { id, reason: why };
}

function kindOf(args: Arguments): AuthorityKind {
  const [word] = args.operands;
  const kind = AUTHORITY_KINDS.find((each) => each === word);
  if (kind) return kind;
  throw new UsageError(`found '${word ?? ''}', expected x509, jwt or token`);
}

function linesOf(kind: AuthorityKind, status: AuthorityStatus): string[] {
  return [
    `${kind}, each for ${status.lifetimeSeconds} s`,
    ...status.authorities.map(
      ({ id, state, notAfterMs, keyIn, upstream }) =>
        `  ${state.padEnd(8)}  ${printable(id)}  until ${timeOf(notAfterMs)}${keyIn === 'hsm' ? ', key in the HSM' : ''}${upstream ? `, signed by ${printable(upstream)}` : ''}`,
    ),
    `  next      ${nextText(status)}`,
    ...(status.isOverdue ? ['  OVERDUE   the next one should issue by now'] : []),
    ...(status.trouble
      ? [
          `  FAILING   since ${timeOf(status.trouble.sinceMs)}, ${status.trouble.attempts} tries: ${printable(status.trouble.detail)}`,
        ]
      : []),
  ];
}

/** What comes next by itself, for people. */
export function nextText({ next }: AuthorityStatus): string {
  const what = next.step === 'prepare' ? 'prepare another' : `${next.step} ${printable(next.id)}`;
  return `${what} at ${timeOf(next.atMs)}`;
}

/** Times of keys that never end are beyond what a date can say. */
export function timeOf(timeMs: number): string {
  return timeMs >= 8_640_000_000_000_000 ? 'forever' : new Date(timeMs).toISOString();
}
