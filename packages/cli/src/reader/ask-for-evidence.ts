import { formatEvidence, LedgerError, parseEvidence } from '@countersign/ledger';
import { CommandError } from '../command-line/command.ts';
import type { EvidenceRequest, GatheredEvidence } from '../record/gather-evidence.ts';
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
