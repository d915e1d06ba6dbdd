import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { RegisteredCredential } from '@countersign/sdk';
import { type Command, CommandError, EXIT, type Io, UsageError } from '../command-line/command.ts';
import { printable } from '../record/printable.ts';
import { authorityOf, print, shared } from './options.ts';

/** `countersign credential register` */
export const credentialRegisterCommand: Command = {
  name: 'credential register',
  summary: "register a person's authenticator (WebAuthn)",
  operands: 'FILE',
  operandsMax: 1,
  description:
    'FILE is JSON: credentialId, publicKey (COSE_Key), both base64url; rpId, origins, and subject, the SPIFFE ID of a person who is registered.\nWhoever brings it must have seen the person: what the authenticator signs is held against the person later.',
  options: { data: shared.data, json: shared.json },
  examples: ['countersign credential register alice-key.json'],
  async run(args, io) {
    const [path] = args.operands;
    if (path === undefined) throw new UsageError('found no FILE with an authenticator');
    const credential = await authorityOf(args, io).call<RegisteredCredential>(
      'POST',
      '/v1/credentials',
      await jsonIn(path, io),
    );
    const { credentialId, subject } = credential;
    print(
      io,
      args,
      { registered: true, credentialId, subject },
      `registered ${credentialId} for ${subject}`,
    );
    return EXIT.ok;
  },
};

/** `countersign credential withdraw` */
export const credentialWithdrawCommand: Command = {
  name: 'credential withdraw',
  summary: "take a person's authenticator out of use",
  operands: '<credential-id>',
  operandsMax: 1,
  description:
    'What it approves from now on counts nowhere; what it approved before stays good. Both are events of the authority.',
  options: { data: shared.data, json: shared.json },
  async run(args, io) {
    const [credentialId] = args.operands;
    if (credentialId === undefined) throw new UsageError('found no credential ID');
    const path = `/v1/credentials/${encodeURIComponent(credentialId)}`;
    await authorityOf(args, io).call('DELETE', path);
    print(io, args, { withdrawn: true, credentialId }, `withdrew ${credentialId}`);
    return EXIT.ok;
  },
};

/** `countersign credential list` */
export const credentialListCommand: Command = {
  name: 'credential list',
  summary: "list people's authenticators",
  description: 'Those that are registered, each with its person and its domain.',
  options: { data: shared.data, json: shared.json },
  async run(args, io) {
    const all = await authorityOf(args, io).call<readonly RegisteredCredential[]>(
      'GET',
      '/v1/credentials',
    );
    const lines = all.map(
      ({ credentialId, subject, rpId }) =>
        `${printable(credentialId)}  ${printable(subject)}  ${printable(rpId)}`,
    );
    print(io, args, all, lines.length > 0 ? lines.join('\n') : 'no authenticators');
    return EXIT.ok;
  },
};

async function jsonIn(path: string, io: Io): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(resolve(io.cwd, path), 'utf8');
  } catch (cause) {
    throw new CommandError(`cannot read ${path}: expected a file that can be read`, { cause });
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new CommandError(`cannot read ${path}: found no JSON`, { cause });
  }
}
