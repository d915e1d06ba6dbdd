import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type {
  DeviceDetails,
  DeviceReport,
  EnrolmentCode,
  PostureTaken,
} from '@countersign/identity';
import { DEVICE_IDENTIFIERS, DEVICE_OWNERSHIPS, pathOfSubject } from '@countersign/model';
import type { AdminClient } from '../admin-client.ts';
import {
  type Arguments,
  type Command,
  CommandError,
  EXIT,
  type Io,
  UsageError,
} from '../command-line/command.ts';
import { oneOf, wholeNumber } from '../command-line/words.ts';
import { authorityOf, print, reasonOf, shared } from '../commands/options.ts';
import { printable } from '../record/printable.ts';
import { subjectUri, trustDomainOf } from '../subject-uri.ts';
import { deviceLine, deviceText } from './device-text.ts';
import { deviceJoinCommand, deviceRenewCommand } from './join-commands.ts';

const { data, json } = shared;
/** What the authority takes, less what JSON adds. */
const REPORT_BYTES_MAX = 48 * 1024 * 1024;

/** `device/x`, its SPIFFE ID, or only `x`. */
function nameOf(args: Arguments): string {
  const [name] = args.operands;
  if (!name) throw new UsageError('found no NAME, expected a device: alice-laptop');
  return pathOfSubject(name).replace(/^device\//, '');
}

/** `countersign device enrol` */
const enrol: Command = {
  name: 'device enrol',
  summary: 'register a device, and make a one-time code with which it enrols',
  operands: 'NAME',
  operandsMax: 1,
  description:
    'The device becomes device/NAME. The code is printed once and is good for one enrolment: `countersign device join` on the device, or any\ntool that writes a certificate request (PKCS#10, P-256) and posts it to /v1/devices/enrol. Of a device that is enrolled already its\nkey stays good until the code is used. Identifiers are by what posture sources call it.',
  options: {
    data,
    owner: {
      type: 'string',
      value: 'PERSON',
      help: 'the one person whose it is: human/alice; without it several share the device',
    },
    ownership: {
      type: 'string',
      value: 'KIND',
      help: `whose it is: ${DEVICE_OWNERSHIPS.join(', ')} (default: corporate)`,
    },
    serial: { type: 'string', value: 'SERIAL', help: 'its serial number' },
    identifier: {
      type: 'string',
      multiple: true,
      value: 'KIND=ID',
      help: `what a source calls it: ${DEVICE_IDENTIFIERS.join(', ')}`,
    },
    ttl: {
      type: 'string',
      value: 'SECONDS',
      help: 'how long the code is good, up to a day (default 600)',
    },
    json,
  },
  examples: [
    'countersign device enrol alice-laptop --owner human/alice --serial C02XK1 > laptop.code',
    'countersign device enrol branch-12/teller-3 --identifier falcon=fedcba98 --ttl 86400',
  ],
  async run(args, io) {
    const client = authorityOf(args, io);
    const owner = args.text('owner');
    const ownership = args.text('ownership');
    const ttlSeconds = wholeNumber(args, 'ttl', { min: 1, max: 86_400 });
    const identifiers = identifiersOf(args);
    const made = await client.call<Omit<EnrolmentCode, 'isGranted'>>('POST', '/v1/devices', {
      name: nameOf(args),
      ...(owner !== undefined && { owner: await personOf(owner, client) }),
      ...(ownership !== undefined && {
        ownership: oneOf('--ownership', ownership, DEVICE_OWNERSHIPS),
      }),
      ...(Object.keys(identifiers).length > 0 && { identifiers }),
      ...(ttlSeconds !== undefined && { ttlSeconds }),
    });
    print(io, args, made, made.code);
    return EXIT.ok;
  },
};

/** `countersign device list` */
const list: Command = {
  name: 'device list',
  summary: 'list devices: whose, enrolled or not, and how they are kept',
  description:
    'Asks the authority that runs on this data folder. A device is awaited (it has not enrolled), enrolled, absent (its certificate ended and\nwas not renewed) or revoked.',
  options: { data, json },
  examples: ['countersign device list', 'countersign device list --json'],
  async run(args, io) {
    const found = await authorityOf(args, io).call<readonly DeviceReport[]>('GET', '/v1/devices');
    print(io, args, found, found.map(deviceLine).join('\n') || 'no devices');
    return EXIT.ok;
  },
};

/** `countersign device show` */
const show: Command = {
  name: 'device show',
  summary: 'show one device: its key, its posture, and what each source said last',
  operands: 'NAME',
  operandsMax: 1,
  description:
    'A signal is true, false or unknown; what nobody said, or said too long ago, is unknown. Beside it: the source, how well it vouches, when\nit saw it, and until when that counts.',
  options: { data, json },
  examples: ['countersign device show alice-laptop'],
  async run(args, io) {
    const path = `/v1/devices/${nameOf(args)}`;
    const found = await authorityOf(args, io).call<DeviceDetails>('GET', path);
    print(io, args, found, deviceText(found));
    return EXIT.ok;
  },
};

/** `countersign device revoke` */
const revoke: Command = {
  name: 'device revoke',
  summary: 'refuse a device everywhere at once: lost, stolen, replaced',
  operands: 'NAME',
  operandsMax: 1,
  description:
    'Requests from it are refused, whoever makes them; its connections and streams are closed; it gets no certificate. `device restore` takes\nit back.',
  options: {
    data,
    reason: { type: 'string', value: 'WHY', help: 'why; it stands in the record' },
    json,
  },
  examples: ["countersign device revoke alice-laptop --reason 'left in a taxi'"],
  async run(args, io) {
    const reason = reasonOf(args);
    const name = nameOf(args);
    const answer = await authorityOf(args, io).call('POST', '/v1/devices/revoke', { name, reason });
    print(io, args, answer, printable(`revoked device/${name}`));
    return EXIT.ok;
  },
};

/** `countersign device restore` and `remove` */
const [restore, remove] = (['restore', 'remove'] as const).map(
  (verb): Command => ({
    name: `device ${verb}`,
    summary:
      verb === 'restore'
        ? 'take back that a device was revoked'
        : 'forget a device: it is nobody from now on',
    operands: 'NAME',
    operandsMax: 1,
    description:
      verb === 'restore'
        ? 'Its key is good again, and its certificate, while that lasts.'
        : 'Its certificates are revoked, and all that sources said of it is gone. The record keeps what it did.',
    options: { data, json },
    examples: [`countersign device ${verb} alice-laptop`],
    async run(args, io) {
      const name = nameOf(args);
      await authorityOf(args, io).call('POST', `/v1/devices/${verb}`, { name });
      print(io, args, { name }, printable(`${verb}d device/${name}`));
      return EXIT.ok;
    },
  }),
) as [Command, Command];

/** `countersign device posture import` */
const importPosture: Command = {
  name: 'device posture import',
  summary: 'take a report of a posture source from a file',
  operands: 'FILE',
  operandsMax: 1,
  description:
    "FILE is what the source's API answered, in its own shape, JSON or JSON lines; - is standard input. What it says counts from when the source\nsaw it, not from now. Exit code 1 when some of it could not be read.",
  options: {
    data,
    source: {
      type: 'string',
      value: 'NAME',
      help: 'a source of authority.devices.posture.sources',
    },
    json,
  },
  examples: ['countersign device posture import hosts.json --source fleet'],
  async run(args, io) {
    const source = args.text('source');
    const [file] = args.operands;
    if (!source) throw new UsageError('found no --source, expected one of the configuration');
    if (!file) throw new UsageError('found no FILE, expected a report, or - for standard input');
    const report = await reportOf(file, io);
    const taken = await authorityOf(args, io).call<PostureTaken>('POST', '/v1/device-posture', {
      source,
      report,
    });
    const { devices, changed, unknown, unread } = taken;
    const lines = [
      `${devices} devices of ours, ${changed} of them other than before; ${unknown} that are none of ours`,
      ...unread.map((why) => `could not take ${why}`),
    ];
    print(io, args, taken, lines.map(printable).join('\n'));
    return unread.length > 0 ? EXIT.negative : EXIT.ok;
  },
};

/** Commands about devices, in the order of the help page. */
export const deviceCommands: readonly Command[] = [
  enrol,
  list,
  show,
  revoke,
  restore,
  remove,
  importPosture,
  deviceJoinCommand,
  deviceRenewCommand,
];

function identifiersOf(args: Arguments): Record<string, string> {
  const serial = args.text('serial');
  const pairs = args.texts('identifier').map((text) => {
    const at = text.indexOf('=');
    if (at < 1) throw new UsageError(`found --identifier '${text}', expected KIND=ID`);
    const kind = oneOf('identifier', text.slice(0, at), DEVICE_IDENTIFIERS);
    return [kind, text.slice(at + 1)] as const;
  });
  return Object.fromEntries([...(serial === undefined ? [] : [['serial', serial]]), ...pairs]);
}

async function personOf(text: string, client: AdminClient): Promise<string> {
  const path = text.includes('/') ? text : `human/${text}`;
  return subjectUri(path, await trustDomainOf(client));
}

async function reportOf(file: string, io: Io): Promise<string> {
  const path = file === '-' ? '/dev/stdin' : resolve(io.cwd, file);
  try {
    const { size } = await stat(path);
    const text = size <= REPORT_BYTES_MAX ? await readFile(path, 'utf8') : undefined;
    if (text !== undefined && text.length <= REPORT_BYTES_MAX) return text;
  } catch (cause) {
    throw new CommandError(`cannot read ${file}: ${(cause as Error).message}`, { cause });
  }
  throw new CommandError(
    `cannot take ${file}: found more than ${REPORT_BYTES_MAX / 1024 / 1024} MiB, expected less; divide it`,
  );
}
