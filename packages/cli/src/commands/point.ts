import { resolve } from 'node:path';
import type { Command } from '../command-line/command.ts';
import { EXIT, UsageError } from '../command-line/command.ts';
import { loopbackAddress } from '../command-line/loopback-address.ts';
import { untilStopped } from '../command-line/until-stopped.ts';
import { joinMeansOf, joinOptions } from './join-options.ts';
import { dataOf, listenerLines, printReady, shared } from './options.ts';

/** `countersign gateway` */
export const gatewayCommand: Command = pointCommand(
  'gateway',
  'run an enforcement point at the edge',
);
/** `countersign sidecar` */
export const sidecarCommand: Command = pointCommand(
  'sidecar',
  'run an enforcement point beside a service',
);
/** `countersign wrap` */
export const wrapCommand: Command = pointCommand(
  'wrap',
  'run an enforcement point around a legacy system',
);

function pointCommand(kind: 'gateway' | 'sidecar' | 'wrap', summary: string): Command {
  return {
    name: kind,
    summary,
    operands: '<name>',
    operandsMax: 1,
    description:
      "Runs the enforcement point of that name from countersign.yaml until it is stopped. The first start needs the authority's trust.json,\nand a join token (countersign join-token workload/countersign/<name>) or what 'join' of the point names; later starts use what the data folder keeps,\nalso while the authority is away. Tells when it serves: in a pipe by one JSON line.",
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
      const { runPoint } = await import('../point/run-point.ts');
      const [name] = args.operands;
      if (!name) throw new UsageError("found no name, expected one of countersign.yaml's points");
      const warn = (text: string): void => io.err(`countersign ${kind} ${name}: ${text}\n`);
      const means = await joinMeansOf(args, io, warn);
      const trustFile = args.text('trust');
      const metrics = loopbackAddress(args, 'metrics');
      const point = await runPoint({
        name,
        kind,
        dataRoot: dataOf(args, io),
        ...(trustFile !== undefined && { trustFile: resolve(io.cwd, trustFile) }),
        ...means,
        ...(metrics !== undefined && { metrics }),
        now: io.now,
        warn,
      });
      printReady(io, { name, listeners: point.listeners }, listenerLines(name, point.listeners));
      await untilStopped(io);
      await point.close();
      return EXIT.ok;
    },
  };
}
