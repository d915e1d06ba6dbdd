import {
  formatEvidence,
  LedgerError,
  parseEvidence,
  parseVerifierKey,
  proveKeptEntry,
} from '@countersign/ledger';
import { CommandError } from '../command-line/command.ts';
import {
  type EvidenceRequest,
  type GatheredEvidence,
  gatherEvidence,
} from '../record/gather-evidence.ts';
import type { ReaderConnection } from './connect-reader.ts';

/**
 * Asks an authority for the evidence of an event; timestamps, which it knows nothing of, are added here.
 *
 * @param log nothing for the one that the authority takes without a name: the first gateway's
 * @throws {CommandError} when it does not answer, or with no evidence file
 */
export async function askForEvidence(
  reader: ReaderConnection,
  {
    index,
    checkpoint,
    timestamps = [],
    resolve,
  }: Omit<EvidenceRequest, 'log' | 'open'> & { readonly resolve?: { readonly reason: string } },
  log: string | undefined,
): Promise<GatheredEvidence & { readonly name: string }> {
  const text = await reader.text('/v1/record/evidence', {
    index,
    ...(log !== undefined && { log }),
    ...(checkpoint !== undefined && { checkpoint }),
    ...(resolve && { resolve }),
  });
  try {
    const { entries, verifierKeys } = parseEvidence(text);
    const dated = entries.map((entry, at) => (at === 0 ? { ...entry, timestamps } : entry));
    const [origin = ''] = entries[0]?.checkpoint.split('\n', 1) ?? [];
    return {
      name: log ?? origin.slice(origin.indexOf('/') + 1),
      text: timestamps.length === 0 ? text : formatEvidence({ entries: dated, verifierKeys }),
      roles: entries.map(({ role }) => role),
    };
  } catch (cause) {
    if (!(cause instanceof LedgerError)) throw cause;
    throw new CommandError(`cannot read evidence from ${reader.url}: ${cause.message}`, { cause });
  }
}

/**
 * Proves an entry whose bytes somebody kept out of the hashes that an authority publishes of a log, which it goes on doing when
 * the log's entries are removed.
 *
 * @throws {CommandError} when it does not answer, or the log had another entry there
 */
export async function proveKeptOverNetwork(
  reader: ReaderConnection,
  asked: Omit<EvidenceRequest, 'open'> & { readonly entry: Uint8Array },
): Promise<GatheredEvidence & { readonly name: string }> {
  const { log: name, entry } = asked;
  const read = reader.tiles(name);
  const key = await read('vkey');
  if (key === undefined) {
    throw new CommandError(`cannot make evidence: found no published log '${name}'`);
  }
  const verifierKey = Buffer.from(key).toString('utf8').trim();
  try {
    const verifiers = [parseVerifierKey(verifierKey)];
    const gathered = await gatherEvidence(
      {
        prove: (_log, wanted) => proveKeptEntry(read, { ...wanted, entry, verifiers }),
        verifierKey: () => verifierKey,
        outcomeOf: async () => undefined,
        credentialOf: async () => undefined,
        authenticatorOf: async () => undefined,
        enteredOf: async () => undefined,
      },
      asked,
    );
    return { name, ...gathered };
  } catch (cause) {
    if (!(cause instanceof LedgerError)) throw cause;
    throw new CommandError(`cannot make evidence: ${name}: ${cause.message}`, { cause });
  }
}
