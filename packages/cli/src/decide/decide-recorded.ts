import { revealByOpenings } from '@countersign/audit';
import type { CedarEngine } from '@countersign/cedar';
import { decideAgain } from '@countersign/decision';
import { nodeDisk, parseVerifierKey, verifiedEntries } from '@countersign/ledger';
import { type Decision, type DecisionEvent, decodeEvent } from '@countersign/model';
import { parseBundle } from '@countersign/policy';
import { openBundleStore, openFactLog, POLICY_TYPE, verifyStatement } from '@countersign/state';
import { openKeptState } from '../authority/state/kept-place.ts';
import { CommandError } from '../command-line/command.ts';
import { dataFolder } from '../data-folder.ts';
import { askOpenings } from '../record/ask-openings.ts';
import { findLogs } from '../record/find-logs.ts';
import { readTrustFile } from '../trust-file.ts';

/** A recorded decision, made again. */
export interface DecidedAgain {
  readonly event: DecisionEvent;
  readonly again: Decision;
  readonly isSame: boolean;
}

/**
 * Finds a decision in the logs of a data folder and makes it again, under the policy version and the
 * facts that it names.
 *
 * @throws {CommandError} when there is no such decision, or its policy or facts are not kept here
 */
export async function decideRecorded(
  id: string,
  options: {
    readonly dataRoot: string;
    readonly engine: CedarEngine;
    readonly env: Readonly<Record<string, string | undefined>>;
    readonly now: () => number;
  },
): Promise<DecidedAgain> {
  const { dataRoot, engine } = options;
  const event = await findDecision(id, options);
  const folder = dataFolder(dataRoot);
  const { trustDomain, policyKeys } = await readTrustFile(folder.trustFile);
  const database = await openKeptState(folder);
  try {
    const published = await (await openBundleStore(database)).byVersion(event.policyVersion);
    if (!published)
      throw new CommandError(
        `cannot decide ${id} again: policy ${event.policyVersion} is not kept here`,
      );
    // The database could have been changed by hand; the signature could not.
    const bundle = parseBundle(
      verifyStatement(published.jws, { type: POLICY_TYPE, keys: policyKeys }),
    );
    const factLog = await openFactLog(database, { trustDomain, now: () => event.at });
    const facts = await factLog.factsAt(event.factSequence);
    const again = await decideAgain({ bundle, facts, event, engine });
    const isSame =
      again.effect === event.effect &&
      again.reason === event.reason &&
      JSON.stringify(again.policies) === JSON.stringify(event.policies ?? []);
    return { event, again, isSame };
  } finally {
    await database.close();
  }
}

async function findDecision(
  id: string,
  options: Parameters<typeof decideRecorded>[1],
): Promise<DecisionEvent> {
  const { dataRoot } = options;
  for (const log of await findLogs(dataRoot)) {
    if (!log.key || log.name === 'authority') continue;
    const verifiers = [parseVerifierKey(log.key.text)];
    for await (const { bytes } of verifiedEntries(nodeDisk(log.folder), { verifiers })) {
      // Cheaper than reading every entry as an event.
      if (!Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).includes(id)) continue;
      const event = decodeEvent(bytes);
      if (event.kind === 'decision' && event.id === id) return await opened(event, bytes, options);
    }
  }
  throw new CommandError(
    `cannot decide ${id} again: found no such decision in the logs of ${dataRoot}`,
  );
}

/** What was decided about is sealed where it names a person. */
async function opened(
  event: DecisionEvent,
  bytes: Uint8Array,
  options: Parameters<typeof decideRecorded>[1],
): Promise<DecisionEvent> {
  if (event.sealed === undefined) return event;
  const why = `decide --event ${event.id}`;
  const [openings = []] = await askOpenings([bytes], { ...options, why });
  const { event: whole, closed } = revealByOpenings(event, openings);
  if (closed.length > 0) {
    throw new CommandError(
      `cannot decide ${event.id} again: what it was about is sealed, and the key was destroyed`,
    );
  }
  return whole as DecisionEvent;
}
