import type { SubjectKind } from '@countersign/model';

/** What one event adds to what is known of a subject's behaviour, after joining and deduplication. */
export interface Observation {
  readonly eventId: string;
  /** SPIFFE ID. */
  readonly subject: string;
  /** Its peer group. */
  readonly kind: SubjectKind;
  /** By the clock of the enforcement point, never far ahead of ours. */
  readonly atMs: number;
  /** Teaches what is usual; nothing that happens now. */
  readonly isReplayed: boolean;
  /** Whether the request reached the protected resource. */
  readonly isForwarded: boolean;
  readonly session: string | undefined;
  /** 1 for an outcome; 0 for what arrives later about a request that was counted. */
  readonly requests: number;
  /** Body bytes that the caller got, not counted before. */
  readonly bytes: number;
  /** A 32-bit hash of the resource, when it is known and not counted before for this request. */
  readonly resource: number | undefined;
}
