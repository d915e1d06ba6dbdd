import type { Identity } from '@countersign/identity';
import type { RecordReader, RecordRight } from '@countersign/policy';
import type { ControlPeer } from '../control-peer.ts';

/** Why somebody may not read the record; the words stand in the event of the refusal. */
export type ReadingRefusal =
  /** No SVID on this connection, or one that has ended. */
  | 'svid-missing'
  | 'certificate-revoked'
  | 'subject-unregistered'
  | 'subject-disabled'
  | 'subject-revoked'
  /** `record.readers` does not name it, or not with this right. */
  | 'reader-unnamed';

/** Who asks, and why not, if not. */
export interface Access {
  /** A SPIFFE ID, or `unauthenticated`. */
  readonly by: string;
  readonly refusal?: ReadingRefusal;
}

/** By whom a reading is refused that nobody signed for. */
export const NOBODY = 'unauthenticated';

/** Decides who may read the record: asked when a request comes, and again before its answer leaves. */
export type RecordAccess = (peer: ControlPeer | undefined, right: RecordRight) => Access;

/**
 * Nobody may read but whom the configuration names, with an SVID that is good now.
 *
 * @param options `readers` gives those of the configuration as last applied
 */
export function recordAccess(options: {
  readonly identity: Pick<Identity, 'subject' | 'isRevoked'>;
  readonly readers: () => readonly RecordReader[];
}): RecordAccess {
  const { identity, readers } = options;
  return (peer, right) => {
    if (peer === undefined) return { by: NOBODY, refusal: 'svid-missing' };
    const { spiffeId: by, names } = peer;
    const refused = (refusal: ReadingRefusal): Access => ({ by, refusal });
    if (identity.isRevoked('certificate', names)) return refused('certificate-revoked');
    if (identity.isRevoked('subject', by)) return refused('subject-revoked');
    const subject = identity.subject(by);
    if (subject === undefined) return refused('subject-unregistered');
    if (!subject.enabled) return refused('subject-disabled');
    const named = readers().find(({ id }) => id === by);
    return named?.may.includes(right) ? { by } : refused('reader-unnamed');
  };
}
