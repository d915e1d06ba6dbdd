import { type Arguments, EXIT, type Io } from '../command-line/command.ts';
import { secondsOf } from '../command-line/words.ts';
import { dataOf, print } from '../commands/options.ts';
import { shortName } from './event-line.ts';
import { recordedEvents } from './recorded-events.ts';
import { type ShadowSurface, shadowReport } from './shadow-report.ts';

/** Tells what enforcing would have refused, from the logs of a data folder. */
export async function runShadowReport(args: Arguments, io: Io): Promise<number> {
  const since = secondsOf(args, 'since');
  const surfaces = await shadowReport(
    recordedEvents(dataOf(args, io), {
      ...(since !== undefined && { sinceMs: io.now() - since * 1000 }),
    }),
    { surface: args.text('surface') },
  );
  const refused = surfaces.reduce((sum, { requests, wouldPass }) => sum + requests - wouldPass, 0);
  print(
    io,
    args,
    { ok: refused === 0, surfaces },
    surfaces.flatMap(surfaceLines).join('\n') || 'no request to a surface in shadow was recorded',
  );
  return refused === 0 ? EXIT.ok : EXIT.negative;
}

function surfaceLines(surface: ShadowSurface): readonly string[] {
  const { requests, wouldPass, wouldRefuse, wouldRefuseOmitted } = surface;
  const from = new Date(surface.firstAt).toISOString();
  const to = new Date(surface.lastAt).toISOString();
  return [
    `${surface.surface}: ${requests} in shadow, ${wouldPass} would pass, ${requests - wouldPass} would be refused (${from} to ${to})`,
    ...wouldRefuse.map(
      ({ count, effect, reason, subject, action, event }) =>
        `  ${String(count).padStart(6)}  ${`${effect} ${reason}`.padEnd(34)}  ${shortName(subject ?? 'nobody').padEnd(28)}  ${action.padEnd(24)}  last ${event}`,
    ),
    ...(wouldRefuseOmitted > 0 ? [`  ${wouldRefuseOmitted} more, of further kinds`] : []),
  ];
}
