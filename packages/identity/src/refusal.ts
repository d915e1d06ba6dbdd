/** Why a workload got no SVID, or an operator's request was not carried out. */
export type RefusalCode =
  | 'request-malformed'
  | 'request-signature'
  | 'request-audience'
  | 'request-time'
  | 'request-replayed'
  | 'request-subject'
  | 'request-extra'
  | 'join-token-unknown'
  | 'join-token-expired'
  | 'join-token-used'
  | 'join-certificate-missing'
  | 'join-certificate-invalid'
  | 'join-certificate-revoked'
  | 'kubernetes-cluster-unknown'
  | 'kubernetes-token-malformed'
  | 'kubernetes-token-audience'
  | 'kubernetes-token-unbound'
  | 'kubernetes-token-unauthenticated'
  | 'kubernetes-unavailable'
  | 'join-unregistered'
  | 'join-ambiguous'
  | 'join-credential-of-another'
  | 'join-credential-in-use'
  | 'peer-missing'
  | 'peer-expired'
  | 'certificate-revoked'
  | 'svid-unknown'
  | 'svid-of-node'
  | 'node-svid-unknown'
  | 'subject-unregistered'
  | 'subject-disabled'
  | 'subject-revoked'
  | 'subject-expired'
  | 'node-unknown'
  | 'entry-missing'
  | 'authority-tainted'
  | 'authority-state'
  | 'authority-unavailable'
  | 'log-key-changed'
  | 'credential-malformed'
  | 'credential-registered'
  | 'device-malformed'
  | 'device-registered'
  | 'device-unknown'
  | 'device-key'
  | 'device-absent'
  | 'approver-unfit'
  | 'organisation-cut-off'
  | 'request-rate'
  | 'not-found';

/** A request that was not carried out: an answer, not an error. */
export interface Refusal {
  readonly isGranted: false;
  readonly code: RefusalCode;
  /** For the bank's people and its log; not for the caller. */
  readonly detail: string;
  /** When to come again, of `request-rate`. */
  readonly retryAfterSeconds?: number;
}

/** Makes a {@link Refusal}. */
export function refusal(code: RefusalCode, detail: string): Refusal {
  return { isGranted: false, code, detail };
}

/** Refusals that say that somebody holds what only one may hold, or what nobody can hold, and the alarm for each. */
export const ALARMS: ReadonlyMap<RefusalCode, string> = new Map([
  ['log-key-changed', 'log-key-changed'],
  ['join-credential-in-use', 'join-credential-reused'],
  ['join-credential-of-another', 'join-credential-reused'],
  ['svid-unknown', 'svid-forged'],
  ['node-svid-unknown', 'svid-forged'],
]);

/** What a caller is told: nothing that helps to guess a join token or to learn who is registered. */
export const PUBLIC_ANSWERS: Readonly<
  Record<RefusalCode, { readonly status: number; readonly title: string; readonly detail: string }>
> = (() => {
  const badRequest = (detail: string) => ({ status: 400, title: 'Bad Request', detail });
  const unauthorized = (detail: string) => ({ status: 401, title: 'Unauthorized', detail });
  const forbidden = (detail: string) => ({ status: 403, title: 'Forbidden', detail });
  const token = unauthorized('the join token is not good: unknown, used or expired');
  // One answer for all: which of them it is would tell a thief what is left to try.
  const credential = unauthorized('nobody joins with this certificate or token now');
  const subject = forbidden('this subject gets no SVID: unregistered, disabled or revoked');
  return {
    'request-malformed': badRequest('the request is no JWS as svid-request+jwt demands'),
    'request-signature': badRequest('the request is not signed by the key that it carries'),
    'request-audience': badRequest('the request is for another trust domain'),
    'request-time': badRequest('the request was not made within the last 60 seconds'),
    'request-replayed': badRequest('the request was made before'),
    'request-subject': forbidden('an SVID is renewed for the same SPIFFE ID only'),
    'request-extra': forbidden('this subject may not register keys, or not these'),
    'join-token-unknown': token,
    'join-token-expired': token,
    'join-token-used': token,
    'join-certificate-missing': credential,
    'join-certificate-invalid': credential,
    'join-certificate-revoked': credential,
    'kubernetes-cluster-unknown': credential,
    'kubernetes-token-malformed': credential,
    'kubernetes-token-audience': credential,
    'kubernetes-token-unbound': credential,
    'kubernetes-token-unauthenticated': credential,
    'kubernetes-unavailable': {
      status: 503,
      title: 'Service Unavailable',
      detail: 'the cluster could not be asked; try again',
    },
    'join-unregistered': credential,
    'join-ambiguous': credential,
    'join-credential-of-another': credential,
    'join-credential-in-use': credential,
    'peer-missing': unauthorized('renewing takes a valid SVID'),
    'peer-expired': unauthorized('renewing takes a valid SVID'),
    'certificate-revoked': forbidden('this SVID is revoked'),
    'svid-unknown': forbidden('this SVID was not issued here, or it is known no more: join again'),
    'svid-of-node': forbidden('this SVID was handed out by a node, which gets the next one'),
    // No refusal of its workloads: what they have they keep, and after a restore of the authority it joins again.
    'node-svid-unknown': {
      status: 503,
      title: 'Service Unavailable',
      detail: 'the SVID of this node was not issued here, or it is known no more: join again',
    },
    'subject-unregistered': subject,
    'subject-disabled': subject,
    'subject-revoked': subject,
    'subject-expired': subject,
    'node-unknown': forbidden('this caller is no node'),
    'entry-missing': forbidden('this node attests no such workload'),
    // No refusal of the caller: it renews, and comes again.
    'authority-tainted': {
      status: 503,
      title: 'Service Unavailable',
      detail: 'the authority of this SVID is taken back: renew it, and come again',
    },
    'authority-state': {
      status: 409,
      title: 'Conflict',
      detail: 'the authority is in another state',
    },
    'authority-unavailable': {
      status: 503,
      title: 'Service Unavailable',
      detail: 'the upstream authority gave no answer that could be used',
    },
    'log-key-changed': forbidden('the log of this point is verified with another key'),
    'credential-malformed': badRequest('this is no authenticator of a person'),
    'credential-registered': { status: 409, title: 'Conflict', detail: 'it is registered already' },
    'device-malformed': badRequest('this is no device as it is registered'),
    'device-registered': { status: 409, title: 'Conflict', detail: 'it is registered already' },
    // One answer for all: which devices there are is told to nobody who is none of them.
    'device-unknown': forbidden('no device gets a certificate by this request'),
    'device-key': forbidden('no device gets a certificate by this request'),
    'device-absent': forbidden('no device gets a certificate by this request'),
    'approver-unfit': forbidden('another person must approve this'),
    'organisation-cut-off': {
      status: 409,
      title: 'Conflict',
      detail: 'its organisation is cut off: restore that',
    },
    'request-rate': {
      status: 429,
      title: 'Too Many Requests',
      detail: 'this caller asks too often: come again later',
    },
    'not-found': { status: 404, title: 'Not Found', detail: 'there is no such thing' },
  };
})();
