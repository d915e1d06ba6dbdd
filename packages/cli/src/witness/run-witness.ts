import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import {
  nodeDisk,
  openWitness,
  parseCosignerKey,
  type WitnessAnswer,
  witnessHandler,
} from '@countersign/ledger';
import {
  type Arguments,
  CommandError,
  EXIT,
  type Io,
  UsageError,
} from '../command-line/command.ts';
import { untilStopped } from '../command-line/until-stopped.ts';
import { dataOf, printReady } from '../commands/options.ts';
import { dataFolder } from '../data-folder.ts';
import { reportAnswers } from './report-answers.ts';
import { readWitnessKeys } from './witness-keys.ts';
import { witnessPassphrase } from './witness-passphrase.ts';
import { readWitnessedLogs } from './witnessed-logs.ts';

const CONNECTIONS_MAX = 1000;
const REQUEST_MS_MAX = 10_000;

/** Serves a witness until it is stopped, or its disk fails. */
export async function runWitness(args: Arguments, io: Io): Promise<number> {
  const address = addressOf(args);
  const tls = await tlsOf(args, io);
  const logs = await readWitnessedLogs(args.texts('log'), io);
  if (logs.length === 0) throw new UsageError('found no --log, expected the key of one at least');
  const { folder, keyFile } = dataFolder(dataOf(args, io)).witness;
  const file = resolve(io.cwd, args.text('key') ?? keyFile);
  const name = await nameIn(folder);
  const keys = await readWitnessKeys(file, { name, passphrase: await witnessPassphrase(args, io) });
  const disk = nodeDisk(folder);
  const witness = await openWitness({ disk, keys, logs, now: io.now });
  try {
    const failed = Promise.withResolvers<string>();
    const report = reportAnswers({ io, disk });
    const onAnswer = (answer: WitnessAnswer, request: IncomingMessage): void => {
      report.tell(answer, request.socket.remoteAddress ?? 'unknown');
      if (answer.kind === 'refused' && answer.code === 'failed') failed.resolve(answer.detail);
    };
    const handler = witnessHandler({ witness, onAnswer });
    const bounds = { requestTimeout: REQUEST_MS_MAX, headersTimeout: REQUEST_MS_MAX };
    const server = tls
      ? createTlsServer({ ...bounds, ...tls }, handler)
      : createServer(bounds, handler);
    server.maxConnections = CONNECTIONS_MAX;
    await new Promise<void>((done, reject) => {
      server.once('error', (cause: NodeJS.ErrnoException) =>
        reject(
          new CommandError(`cannot listen on ${args.text('listen')}: found ${cause.code}`, {
            cause,
          }),
        ),
      );
      server.listen(address, done);
    });
    const { port } = server.address() as AddressInfo;
    const host = address.host.includes(':') ? `[${address.host}]` : address.host;
    const url = `${tls ? 'https' : 'http'}://${host}:${port}`;
    if (!tls && !/^(127\.|::1$|localhost$)/.test(address.host)) {
      io.err(
        'countersign witness: serves plain HTTP beyond this host; what it signs is protected, who asks what is not: --cert and --cert-key\n',
      );
    }
    const origins = logs.map(({ origin }) => origin);
    for (const origin of origins.filter((each) => witness.checkpoint(each) === undefined)) {
      report.isNewLog(origin);
    }
    printReady(io, { name, url, logs: origins }, [
      `${name}  ${url}`,
      ...origins.map((each) => `  watches ${each}`),
    ]);
    const failure = await Promise.race([untilStopped(io), failed.promise]);
    await new Promise<void>((done) => {
      server.close(() => done());
      server.closeAllConnections();
    });
    await report.settled();
    if (failure !== undefined) {
      throw new CommandError(
        `stopped, and cosigned nothing more: ${failure}; make the disk good, then start again`,
      );
    }
    return EXIT.ok;
  } finally {
    await witness.close();
  }
}

/** The name that the folder's keys have. */
async function nameIn(folder: string): Promise<string> {
  try {
    const [line = ''] = (await readFile(join(folder, 'vkey'), 'utf8')).split('\n');
    return parseCosignerKey(line).name;
  } catch (cause) {
    throw new CommandError(
      `cannot open the witness in ${folder}: found no vkey there, expected what 'countersign witness init' made; if the folder was lost, make a new witness: this one has forgotten what it cosigned`,
      { cause },
    );
  }
}

function addressOf(args: Arguments): { host: string; port: number } {
  const text = args.text('listen') ?? '';
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+)):([0-9]{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new UsageError(`found --listen '${text}', expected host:port`);
  }
  return { host: match[1] ?? match[2] ?? '', port };
}

async function tlsOf(
  args: Arguments,
  io: Io,
): Promise<{ cert: Buffer; key: Buffer; minVersion: 'TLSv1.2' } | undefined> {
  const [cert, key] = [args.text('cert'), args.text('cert-key')];
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined) {
    throw new UsageError('found one of --cert and --cert-key, expected both');
  }
  const read = (path: string): Promise<Buffer> =>
    readFile(resolve(io.cwd, path)).catch((cause: Error) => {
      throw new CommandError(`cannot read the certificate: ${cause.message}`, { cause });
    });
  return { cert: await read(cert), key: await read(key), minVersion: 'TLSv1.2' };
}
