import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { logOfShard } from '@countersign/audit';
import { CommandError, UsageError } from '../command-line/command.ts';
import { nearest } from '../command-line/nearest.ts';
import { dataFolder } from '../data-folder.ts';
import { copyName, type FoundLog, findLogs } from './find-logs.ts';

/**
 * The log of a name in a data folder; without a name the first gateway's, by what the points' bundles call one,
 * or the only one that a point has.
 *
 * @throws {UsageError} for a name that no log has
 * @throws {CommandError} when there is none, or no name was given and it cannot be told which
 */
export async function chooseLog(dataRoot: string, name: string | undefined): Promise<FoundLog> {
  const logs = await findLogs(dataRoot);
  const names = logs.map((log) => log.name);
  if (logs.length === 0) throw new CommandError(`cannot choose log: found no log in ${dataRoot}`);
  if (name !== undefined) {
    const found = logNamed(logs, name);
    if (found) return found;
    const near = nearest(name, names);
    throw new UsageError(
      `found --log '${name}', expected one of ${names.join(', ')}${near ? `; did you mean '${near}'?` : ''}`,
    );
  }
  const points = logs.filter((log) => logOfShard(log.name) !== 'authority');
  const gateways = await gatewayNames(dataRoot, points);
  // Of its shards the newest.
  const first = points.find((log) => gateways.has(log.name));
  const shards = points.filter(({ name }) => first && logOfShard(name) === first.name);
  const chosen = shards.at(-1) ?? only(points);
  if (chosen) return chosen;
  throw new CommandError(
    `cannot choose log: found ${names.join(', ')} and no bundle that says which is a gateway's, expected --log NAME`,
  );
}

/** The log that a command shows under a name; where there is a copy alone (on the authority's machine), it goes by the point's name too. */
export function logNamed(logs: readonly FoundLog[], name: string): FoundLog | undefined {
  const named = [name, copyName(name)].flatMap(
    (each) => logs.find((log) => log.name === each) ?? [],
  );
  // The copy has entries that the point has removed already.
  return named.find(({ removed }) => removed === undefined) ?? named[0];
}

/** One log, or one and its collected copy. */
function only(points: readonly FoundLog[]): FoundLog | undefined {
  const own = points.filter((log) => !points.some(({ mirror }) => mirror === log.folder));
  return own.length === 1 ? own[0] : undefined;
}

/**
 * Which points are gateways, as their bundles say. Read without verifying: it decides only which log is meant where
 * nobody said, and the answer names it.
 */
async function gatewayNames(
  dataRoot: string,
  logs: readonly FoundLog[],
): Promise<ReadonlySet<string>> {
  const names = new Set<string>();
  for (const { name } of logs) {
    try {
      const file = join(dataFolder(dataRoot).point(name).replica, 'policy.ndjson');
      const { policy } = JSON.parse(await readFile(file, 'utf8'));
      const payload = JSON.parse(Buffer.from(policy.split('.')[1], 'base64url').toString());
      for (const point of payload.points) if (point.kind === 'gateway') names.add(point.name);
    } catch {
      // No replica here, or none that says anything: another point's may.
    }
  }
  return names;
}
