import type { EvidenceCheck } from '@countersign/ledger';

/** A check in words for whoever has not read the formats: its name, and what it asks. */
export interface CheckWords {
  readonly title: string;
  readonly asks: string;
}

const PARTS: Readonly<Record<string, CheckWords>> = {
  'verifier-key': {
    title: 'Keys of the logs',
    asks: 'Did the keys that the logs are checked with come from you, and not from the file?',
  },
  role: { title: 'Make-up of the file', asks: 'Does each entry stand in the place that it says?' },
  entry: { title: 'Record', asks: 'Are these the bytes that were written to the log?' },
  leaf: { title: 'Hash of the record', asks: 'Is the hash in the file that of the record?' },
  proof: {
    title: 'Place in the log',
    asks: 'Does the signed state of the log hold this record at this place (inclusion, RFC 9162)?',
  },
  checkpoint: {
    title: 'State of the log',
    asks: 'Did the log sign the state that the proof leads to?',
  },
  witness: {
    title: 'Witnesses',
    asks: 'Did the witness that you named cosign that state, so that the log cannot show others another one?',
  },
  timestamp: {
    title: 'Timestamp',
    asks: 'Did a timestamping authority that you trust sign when that state existed (RFC 3161)?',
  },
  event: {
    title: 'Event',
    asks: 'Does the record say itself that it belongs at this place of this log?',
  },
  signature: {
    title: "The actor's signature",
    asks: 'Did the key sign this very request, at the time of the event (RFC 9421)?',
  },
  key: { title: "The actor's key", asks: 'Is the key the one that the record names?' },
  certificate: {
    title: 'Certificate',
    asks: 'Does the certificate belong to that key, and was it in force at that time?',
  },
  credential: {
    title: 'Whose the key was',
    asks: "Does the authority's own log say that it was this subject's, at that time?",
  },
  assertion: {
    title: "The person's approval",
    asks: 'Did the authenticator of a person who was verified sign this very transaction, as it was shown, at that time (WebAuthn)?',
  },
  authenticator: {
    title: 'Whose the authenticator was',
    asks: "Does the authority's own log say that it was registered for this person then, with this key?",
  },
  dpop: {
    title: 'Proof of possession',
    asks: 'Did the key sign a proof for this token, method and address (DPoP, RFC 9449)?',
  },
  token: { title: 'Token', asks: 'Is the token that was used the one that was signed for?' },
  content: { title: 'Content', asks: 'Is the content that you brought along what was signed?' },
  outcome: {
    title: 'Outcome',
    asks: 'What did the caller get, and did the request reach the resource?',
  },
};

/** The words of a check; one that this page does not know keeps its own name. */
export function wordsOf({ part }: EvidenceCheck): CheckWords {
  return Object.hasOwn(PARTS, part) && PARTS[part] ? PARTS[part] : { title: part, asks: '' };
}

/** What a verdict is called, beside a sign that does not rest on its colour. */
export const RESULTS = {
  good: { sign: '✓', word: 'Good', means: 'Everything in this file was verified.' },
  bad: {
    sign: '✕',
    word: 'Bad',
    means: 'At least one part is false: this file proves nothing as it is.',
  },
  unknown: {
    sign: '?',
    word: 'Unknown',
    means:
      'Nothing was found false, but not everything could be told with what the file holds and what you brought.',
  },
} as const;

/** What an entry is in the file for. */
export const ROLES: Readonly<Record<string, CheckWords>> = {
  '': { title: 'The file as a whole', asks: '' },
  subject: { title: 'The record', asks: 'What this evidence is about.' },
  outcome: { title: 'Its outcome', asks: 'A second record: what came of it.' },
  authenticator: {
    title: "The person's authenticator",
    asks: "A record of the authority's log: for whom it was registered, or that it was withdrawn.",
  },
  credential: {
    title: "The caller's credential",
    asks: "A record of the authority's log: whose certificate it was.",
  },
};
