import { resolve } from 'node:path';
import { type Command, EXIT, UsageError } from '../command-line/command.ts';
import { untilStopped } from '../command-line/until-stopped.ts';
import { dataFolder } from '../data-folder.ts';
import type { NamedSocket } from '../node/run-node.ts';
import { joinMeansOf, joinOptions } from './join-options.ts';
import { dataOf, printReady, shared } from './options.ts';

/** `countersign node` */
export const nodeCommand: Command = {
  name: 'node',
  summary: "serve this host's processes the SPIFFE Workload API",
  description:
    "Hands X.509-SVIDs, JWT-SVIDs and bundles to the processes of this host, by what the kernel says of each: user, group, systemd unit,\nexecutable. Who is who stands in identities/*.yaml (isNode, attest). go-spiffe, py-spiffe, spiffe-helper and Envoy (SDS) connect to the\nsocket as to SPIRE's. The first start needs the authority's trust.json, and a join token (countersign join-token workload/nodes/<host>)\nor what the host has already: a certificate of the bank's, or its pod's service account token ('join' in identities/*.yaml).\nRun it as root: another user's process tells its executable to no one else.",
  options: {
    data: shared.data,
    trust: {
      type: 'string',
      value: 'FILE',
      help: "the authority's trust.json (default: DATA/trust.json)",
    },
    ...joinOptions,
    socket: {
      type: 'string',
      value: 'PATH',
      help: 'where processes connect (default: DATA/node/workload.sock)',
    },
    workload: {
      type: 'string',
      multiple: true,
      value: 'NAME=PATH[@UID]',
      help: 'a socket for one workload, selector socket:name:NAME; belongs to UID',
    },
  },
  examples: [
    'countersign node -d /var/lib/countersign --socket /run/countersign/workload.sock',
    'countersign node -d data --workload payments=/run/payments/workload.sock@1001',
  ],
  async run(args, io) {
    const { runNode } = await import('../node/run-node.ts');
    const warn = (text: string): void => io.err(`countersign node: ${text}\n`);
    const data = dataOf(args, io);
    const trustFile = args.text('trust');
    const means = await joinMeansOf(args, io, warn);
    const node = await runNode({
      dataRoot: data,
      ...(trustFile !== undefined && { trustFile: resolve(io.cwd, trustFile) }),
      ...means,
      socket: resolve(io.cwd, args.text('socket') ?? dataFolder(data).nodeSocket),
      namedSockets: args.texts('workload').map((text) => namedSocketOf(text, io.cwd)),
      now: io.now,
      warn,
    });
    const { spiffeId, sockets } = node;
    printReady(io, { spiffeId, sockets }, [
      spiffeId,
      ...sockets.map((path) => `SPIFFE_ENDPOINT_SOCKET=unix://${path}`),
    ]);
    await untilStopped(io);
    await node.close();
    return EXIT.ok;
  },
};

function namedSocketOf(text: string, cwd: string): NamedSocket {
  const match = /^([a-z0-9][a-z0-9-]{0,62})=([^\0@]+)(?:@([0-9]{1,10}))?$/.exec(text);
  if (!match) {
    throw new UsageError(`found --workload '${text}', expected NAME=PATH or NAME=PATH@UID`);
  }
  const [, name = '', path = '', uid] = match;
  return { name, path: resolve(cwd, path), ...(uid !== undefined && { uid: Number(uid) }) };
}
