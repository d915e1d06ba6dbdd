/** One entry of a log and what proves that it stands there. */
export interface EvidenceEntry {
  /** What the entry is for in this file: `subject` is what the evidence is about; others say what they support. */
  readonly role: string;
  /** Zero based. */
  readonly index: number;
  /** Exactly as appended. */
  readonly entry: Uint8Array;
  /** Its leaf hash, 32 bytes: tells a damaged entry from a damaged proof. */
  readonly leaf: Uint8Array;
  /** Sibling hashes from the leaf to the root, 32 bytes each, at most 53. */
  readonly proof: readonly Uint8Array[];
  /** The signed checkpoint that the proof leads to, with all signatures: a C2SP signed note. */
  readonly checkpoint: string;
  /** RFC 3161 tokens over SHA-256 of the checkpoint note, DER. */
  readonly timestamps: readonly Uint8Array[];
  /** Secrets that open what the entry holds encrypted, 1 to 64 bytes each; only whoever reads entries knows of what kind. */
  readonly openings?: readonly Uint8Array[];
}

/** All that a stranger needs to see for itself that entries stand in logs. */
export interface Evidence {
  /** The first is what the evidence is about, and its role is `subject`; no role stands twice. */
  readonly entries: readonly EvidenceEntry[];
  /** The logs' verifier keys as whoever made the file knew them; who verifies had better bring its own. */
  readonly verifierKeys: readonly string[];
}

/** What was found about one part of an evidence file. */
export interface EvidenceCheck {
  /** The role of the entry that it is about, or nothing for the file as a whole. */
  readonly role?: string;
  /** `role`, `entry`, `leaf`, `proof`, `checkpoint`, `verifier-key`, `witness`, `timestamp`, or what the reader of entries names. */
  readonly part: string;
  /** `unknown`: could not be told with what was brought along; never as good as `good`. */
  readonly result: 'good' | 'bad' | 'unknown';
  readonly detail: string;
}

/** What verifying an evidence file found. */
export interface EvidenceReport {
  /** Whether `result` is `good`. */
  readonly ok: boolean;
  /** `bad` when any check is, else `unknown` when any is: `good` is said of a file only when it is true of all of it. */
  readonly result: EvidenceCheck['result'];
  readonly checks: readonly EvidenceCheck[];
}
