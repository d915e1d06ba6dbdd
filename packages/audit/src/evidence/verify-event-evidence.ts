import {
  type Evidence,
  type EvidenceReport,
  LedgerError,
  parseCosignerKey,
  parseEvidence,
  parseVerifierKey,
  renameVerifierKey,
  timestampChecker,
  verifyEvidence,
} from '@countersign/ledger';
import { logOfShard } from '../shards/shard-name.ts';
import { checkEventEntries, type EventEvidenceOptions } from './check-event-entries.ts';
import { type EvidenceStory, evidenceStory } from './evidence-story.ts';

/** What whoever verifies an evidence file brings along, from where it trusts it to come. */
export interface BroughtAlong extends EventEvidenceOptions {
  /** Verifier keys of logs; without them the file's own are taken, and the result is `unknown` at best. */
  readonly logKeys?: readonly string[];
  /** Verifier keys of witnesses: each witness must have cosigned every checkpoint, by one of its keys. */
  readonly witnessKeys?: readonly string[];
  /** Certificates of timestamping authorities, PEM or DER. */
  readonly timestampAuthorities?: readonly (string | Uint8Array)[];
}

/** What was found of an evidence file. */
export interface EvidenceFinding extends EvidenceReport {
  /** Why it is no evidence file, where it is none; there are no checks then. */
  readonly malformed?: string;
  /** What it says happened; nothing when its subject is no event. How far that is proven is for the checks to say. */
  readonly story?: EvidenceStory;
}

/**
 * Verifies an evidence file as a whole: the one way that the command and the page go.
 *
 * @param text the file's, as it came: UTF-8, at most 16 Mi characters
 * @throws {LedgerError} `ERR_LEDGER_KEY_INVALID` for a key or a certificate that was brought along and is none: nothing is
 *   told of the file then. What the file itself holds never throws
 */
export function verifyEventEvidence(text: string, brought: BroughtAlong = {}): EvidenceFinding {
  const { logKeys = [], witnessKeys = [], timestampAuthorities = [] } = brought;
  // A key that is none ends it here, before anything is told of the file.
  for (const key of logKeys) parseVerifierKey(key);
  const witnesses = witnessKeys.map(parseCosignerKey);
  const checkTimestamp =
    timestampAuthorities.length > 0 ? timestampChecker(timestampAuthorities) : undefined;
  const evidence = parse(text);
  if (typeof evidence === 'string') {
    return { ok: false, result: 'bad', malformed: evidence, checks: [] };
  }
  const verifiers = keysFor(evidence, logKeys).map(parseVerifierKey);
  const report = verifyEvidence(evidence, {
    verifiers,
    witnesses,
    ...(checkTimestamp && { checkTimestamp }),
    checkEntries: (entries) => checkEventEntries(entries, brought),
  });
  const story = evidenceStory(evidence.entries);
  return { ...report, ...(story && { story }) };
}

/** What is no evidence file is an answer, as a damaged one is. */
function parse(text: string): ReturnType<typeof parseEvidence> | string {
  try {
    return parseEvidence(text);
  } catch (error) {
    if (error instanceof LedgerError) return error.message;
    throw error;
  }
}

/**
 * The keys that were brought along, for the file's logs: a log's shards and, of the authority, its log of checkpoints are
 * signed with the log's own key, each under its own name.
 */
function keysFor({ entries }: Evidence, logKeys: readonly string[]): readonly string[] {
  const origins = new Set(
    entries.map(({ checkpoint }) => checkpoint.slice(0, checkpoint.indexOf('\n'))),
  );
  const derived = logKeys.flatMap((key) => {
    const { name } = parseVerifierKey(key);
    const isOf = (origin: string): boolean =>
      (origin !== name && logOfShard(origin) === name) ||
      (name.endsWith('/authority') && origin === `${name}/checkpoints`);
    return [...origins].filter(isOf).map((origin) => renameVerifierKey(key, origin));
  });
  return [...logKeys, ...derived];
}
