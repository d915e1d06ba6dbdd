import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { enrolDevice, renewDevice, SdkError } from '@countersign/sdk';
import {
  type Arguments,
  type Command,
  CommandError,
  EXIT,
  type Io,
  UsageError,
} from '../command-line/command.ts';
import { print, shared } from '../commands/options.ts';
import { readTrustFile } from '../trust-file.ts';
import { deviceFiles } from './device-files.ts';

const out = {
  type: 'string',
  value: 'DIR',
  help: 'where the key and the certificate are (default: ./device)',
} as const;
const trust = {
  type: 'string',
  value: 'FILE',
  help: 'trust.json of the bank (default: ./trust.json)',
} as const;

/** `countersign device join`, on the device */
export const deviceJoinCommand: Command = {
  name: 'device join',
  summary: 'on a device: enrol with a code, and get its certificate',
  description:
    'Makes a P-256 key in DIR, or takes the one that is there, and enrols with the code of `countersign device enrol`. Writes key.pem (0600),\ncertificate.pem, authorities.pem and device.json. The key is the device from then on; the certificate is short-lived: let a timer run\n`countersign device renew`.',
  options: {
    out,
    trust,
    'code-file': {
      type: 'string',
      value: 'FILE',
      help: 'holds the code (or COUNTERSIGN_DEVICE_CODE)',
    },
    authority: {
      type: 'string',
      value: 'URL',
      help: "the authority's control listener (default: as trust.json says)",
    },
    json: shared.json,
  },
  examples: ['countersign device join --code-file laptop.code --out /etc/countersign/device'],
  async run(args, io) {
    const code = await codeOf(args, io);
    const { authorityUrl, ...anchors } = await anchorsOf(args, io);
    const files = deviceFiles(folderOf(args, io));
    const keys = await files.keys();
    const joined = await told('join', () =>
      enrolDevice({ ...anchors, authorityUrl, code, keys, now: io.now }),
    );
    await files.keep(joined, authorityUrl);
    const { spiffeId, notAfterMs, renewAfterMs } = joined;
    const until = new Date(notAfterMs).toISOString();
    print(
      io,
      args,
      { spiffeId, notAfterMs, renewAfterMs },
      `joined as ${spiffeId}, until ${until}`,
    );
    return EXIT.ok;
  },
};

/** `countersign device renew`, on the device */
export const deviceRenewCommand: Command = {
  name: 'device renew',
  summary: 'on a device: renew its certificate with its key, when that is due',
  description:
    'For a timer. Does nothing before half of the life of the certificate is over, unless --now is given. Works after the certificate has\nended, too, as long as the authority allows (authority.devices.absence).',
  options: {
    out,
    trust,
    now: { type: 'boolean', help: 'renew even if it is not due' },
    json: shared.json,
  },
  examples: ['countersign device renew --out /etc/countersign/device'],
  async run(args, io) {
    const files = deviceFiles(folderOf(args, io));
    const { spiffeId, authority, notAfterMs, renewAfterMs } = await files.state();
    if (io.now() < renewAfterMs && !args.flag('now')) {
      const due = new Date(renewAfterMs).toISOString();
      print(io, args, { spiffeId, notAfterMs, renewed: false }, `not due before ${due}`);
      return EXIT.ok;
    }
    const { authorityUrl: _, ...anchors } = await anchorsOf(args, io);
    const keys = await files.keys();
    const renewed = await told('renew', () =>
      renewDevice({ ...anchors, authorityUrl: authority, spiffeId, keys, now: io.now }),
    );
    await files.keep(renewed, authority);
    const until = new Date(renewed.notAfterMs).toISOString();
    const value = { spiffeId, notAfterMs: renewed.notAfterMs, renewed: true };
    print(io, args, value, `renewed ${spiffeId}, until ${until}`);
    return EXIT.ok;
  },
};

function folderOf(args: Arguments, io: Io): string {
  return resolve(io.cwd, args.text('out') ?? 'device');
}

async function anchorsOf(args: Arguments, io: Io) {
  const file = await readTrustFile(resolve(io.cwd, args.text('trust') ?? 'trust.json'));
  const { trustDomain, factKeys, x509Authorities, controlUrl } = file;
  return {
    ...{ trustDomain, factKeys, authorityUrl: args.text('authority') ?? controlUrl },
    x509Authorities: x509Authorities.map((der) => Buffer.from(der, 'base64')),
  };
}

async function codeOf(args: Arguments, io: Io): Promise<string> {
  const file = args.text('code-file');
  const code = file
    ? await readFile(resolve(io.cwd, file), 'utf8').catch((cause: Error) => {
        throw new CommandError(`cannot read ${file}: ${cause.message}`, { cause });
      })
    : (io.env['COUNTERSIGN_DEVICE_CODE'] ?? '');
  if (code.trim() !== '') return code.trim();
  throw new UsageError(
    'found no code, expected --code-file or COUNTERSIGN_DEVICE_CODE: words of a command line are seen by others',
  );
}

async function told<T>(what: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (cause) {
    if (!(cause instanceof SdkError)) throw cause;
    throw new CommandError(`cannot ${what}: ${cause.message}`, { cause });
  }
}
