import { resolve } from 'node:path';
import type { Command } from '../command-line/command.ts';
import { CommandError, EXIT, UsageError } from '../command-line/command.ts';
import { loopbackAddress } from '../command-line/loopback-address.ts';
import { untilStopped } from '../command-line/until-stopped.ts';
import { joinMeansOf, joinOptions } from './join-options.ts';
import { dataOf, printReady, shared } from './options.ts';

/** `countersign issuer` */
export const issuerCommand: Command = {
  name: 'issuer',
  summary: 'run a further issuer of tokens beside the authority',
  operands: '<name>',
  operandsMax: 1,
  description:
    "Runs the issuer of that name from authority.issuers of countersign.yaml until it is stopped: the same endpoints and pages under the same\nissuerUrl, on the authority's PostgreSQL, with a log of its own. The first start needs the authority's trust.json, and a join token\n(countersign join-token workload/countersign/<name>) or what 'join' of the issuer names; later starts use what the data folder keeps, also\nwhile the authority is away. Tells when it serves: in a pipe by one JSON line. Ends with exit code 3 when it may not go on: it is revoked or\nin the configuration no more, the authority is of another version, or another process runs under its name.",
  options: {
    data: shared.data,
    trust: {
      type: 'string',
      value: 'FILE',
      help: "the authority's trust.json (default: DATA/trust.json)",
    },
    ...joinOptions,
    metrics: {
      type: 'string',
      value: 'ADDRESS',
      help: 'serves metrics there, on loopback: 127.0.0.1:9465',
    },
  },
  async run(args, io) {
    const { runIssuer } = await import('../issuer/run-issuer.ts');
    const [name] = args.operands;
    if (!name) throw new UsageError('found no name, expected one of authority.issuers');
    const warn = (text: string): void => io.err(`countersign issuer ${name}: ${text}\n`);
    const means = await joinMeansOf(args, io, warn);
    const trustFile = args.text('trust');
    const metrics = loopbackAddress(args, 'metrics');
    const issuer = await runIssuer({
      name,
      dataRoot: dataOf(args, io),
      ...(trustFile !== undefined && { trustFile: resolve(io.cwd, trustFile) }),
      ...means,
      ...(metrics !== undefined && { metrics }),
      env: io.env,
      now: io.now,
      warn,
    });
    const { issuerUrl, address } = issuer;
    printReady(io, { name, issuer: issuerUrl, address }, [
      `${name.padEnd(18)}  https://${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`,
      `${'issuer'.padEnd(18)}  ${issuerUrl}`,
    ]);
    const lost = await Promise.race([untilStopped(io), issuer.lost]);
    await issuer.close();
    if (lost) throw new CommandError(lost.message);
    return EXIT.ok;
  },
};
