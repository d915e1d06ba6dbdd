import type { AccessRequest, Decision, Fact, RiskLevel } from '@countersign/model';
import type { PolicyBundle } from '@countersign/policy';

/** What is known, and how old it is. Reading is synchronous and from memory. */
export interface FactView {
  /** Sequence of the last applied change. */
  readonly sequence: number;
  /** When the authority last vouched for these facts; 0 when it never has. */
  readonly asOfMs: number;
  get(key: string): Fact | undefined;
  subject(id: string): Extract<Fact, { kind: 'subject' }> | undefined;
  /** The subject that an edge listener's client certificate maps to. */
  subjectOfCertificate(thumbprint: string): string | undefined;
  /** The subject that a SPIFFE ID of a federated trust domain is registered for. */
  subjectOfSpiffeId(spiffeId: string): string | undefined;
  risk(subject: string): RiskLevel | 'unknown';
  device(id: string): Extract<Fact, { kind: 'device' }> | undefined;
  /** The device that a key is bound to. @param thumbprint RFC 7638 */
  deviceOfKey(thumbprint: string): string | undefined;
  /** The revocation that covers the target now, if any. */
  revocation(
    target: 'session' | 'token' | 'subject',
    value: string,
    nowMs: number,
  ): Extract<Fact, { kind: 'revocation' }> | undefined;
  /** The one that covers a certificate, by any of the hashes that it may be listed under: it has more than one. */
  revocation(
    target: 'certificate',
    names: readonly string[],
    nowMs: number,
  ): Extract<Fact, { kind: 'revocation' }> | undefined;
  /** What a session is narrowed to now, if it is. */
  narrowing(session: string, nowMs: number): Extract<Fact, { kind: 'narrowing' }> | undefined;
  byKind<K extends Fact['kind']>(kind: K): Iterable<Extract<Fact, { kind: K }>>;
}

/** The policy decision point: in process, synchronous, from memory. */
export interface DecisionPoint {
  /** The bundle in force, or nothing before the first. */
  readonly bundle: PolicyBundle | undefined;
  readonly facts: FactView;
  /**
   * Decides. Never throws for a caller's fault: an error is a deny with its reason. An errored
   * `forbid` denies. `cedarContext` is what a decision event must keep.
   */
  decide(request: AccessRequest): Decision;
  /** The Cedar context of a request, exactly as `decide` evaluates it. */
  cedarContext(request: AccessRequest): { readonly [name: string]: unknown };
}
