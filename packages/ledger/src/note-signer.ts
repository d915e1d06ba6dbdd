/** Signs notes (C2SP signed-note) with Ed25519; the key itself may be elsewhere. */
export interface NoteSigner {
  /** The key name; for a log, its origin. */
  readonly name: string;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** Ed25519 over the bytes: 64 bytes. */
  sign(message: Uint8Array): Promise<Uint8Array> | Uint8Array;
}
