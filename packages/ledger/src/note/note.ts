import { LedgerError } from '../ledger-error.ts';
import type { NoteSigner } from '../note-signer.ts';
import { decodeBase64 } from './base64.ts';
import { ed25519Verifier, type NoteVerifier } from './verifier-key.ts';

/** The longest note that is read, in UTF-16 units; 16 post-quantum signatures fit. */
export const NOTE_LENGTH_MAX = 128 * 1024;
/** C2SP signed-note asks for at least 16. */
const SIGNATURES_MAX = 64;
const KEY_ID_BYTES = 4;

/** A note at least one of whose signatures was verified. */
export interface OpenedNote {
  /** What was signed, with its final newline. */
  readonly text: string;
  /** Who signed it, of those that were asked for; never empty. */
  readonly signers: readonly NoteSignature[];
}

/** A signature that was verified. */
export interface NoteSignature {
  readonly name: string;
  readonly keyId: string;
  /** For a cosignature, when it says that it was made: seconds since the epoch, 0 when it does not say. */
  readonly atSeconds?: number;
}

/**
 * Signs a text: the text, an empty line, one signature line.
 *
 * @param text ends in a newline, has no other control characters, and is not empty
 * @throws {LedgerError} `ERR_LEDGER_NOTE_MALFORMED` for another text
 * @see C2SP signed-note, "Format"
 */
export async function signNote(text: string, signer: NoteSigner): Promise<string> {
  requireText(text);
  return assembleNote(text, await signer.sign(Buffer.from(text)), signatureLinePrefix(signer));
}

/** What a signer's lines begin with, and the key ID that goes before each of its signatures. */
export interface SignatureLinePrefix {
  readonly name: string;
  readonly keyId: Buffer;
}

/** Computed once per signer, because its hash would be computed again for every commit. */
export function signatureLinePrefix(signer: NoteSigner): SignatureLinePrefix {
  const { keyId } = ed25519Verifier(signer.name, signer.publicKey);
  return { name: signer.name, keyId: Buffer.from(keyId, 'hex') };
}

/** A note out of its text and its one signature. */
export function assembleNote(
  text: string,
  signature: Uint8Array,
  prefix: SignatureLinePrefix,
): string {
  const { name } = prefix;
  return `${text}\n${signatureLine({ name, keyId: prefix.keyId.toString('hex') }, signature)}`;
}

/** One signature line, with its newline. */
export function signatureLine(
  { name, keyId }: { readonly name: string; readonly keyId: string },
  signature: Uint8Array,
): string {
  const blob = Buffer.concat([Buffer.from(keyId, 'hex'), signature]).toString('base64');
  return `\u2014 ${name} ${blob}\n`;
}

/**
 * The note with further signature lines below those that it has; a line that is there already is not put twice.
 *
 * @param lines signature lines, each with its newline; verified by nobody yet
 * @throws {LedgerError} `ERR_LEDGER_NOTE_MALFORMED` for a malformed note or line, or more than 64 signatures in all
 */
export function addSignatures(note: string, lines: readonly string[]): string {
  const had = splitNote(note).lines;
  const added = lines.filter((line) => !had.includes(line.slice(0, -1)));
  const grown = note + [...new Set(added)].join('');
  for (const line of splitNote(grown).lines) parseSignatureLine(line);
  return grown;
}

/**
 * A note's text, signed by nobody as far as this function knows: for whoever must look into it before he knows
 * which keys to ask for.
 *
 * @throws {LedgerError} `ERR_LEDGER_NOTE_MALFORMED` when a part of the note is not as it must be
 */
export function unverifiedText(note: string): string {
  const { text, lines } = splitNote(note);
  for (const line of lines) parseSignatureLine(line);
  return text;
}

/** The signature lines of a note that carry one of these names and key IDs, each with its newline. */
export function signatureLinesOf(
  note: string,
  keys: readonly { readonly name: string; readonly keyId: string }[],
): string[] {
  return splitNote(note)
    .lines.filter((line) => {
      const { name, keyId } = parseSignatureLine(line);
      return keys.some((key) => key.name === name && key.keyId === keyId);
    })
    .map((line) => `${line}\n`);
}

/**
 * Opens a note: its text is given only when a known key signed it.
 *
 * Signatures by keys that are not among `verifiers` are ignored; one by a known key that does not
 * verify refuses the whole note.
 *
 * @param note at most 128 Ki characters and 64 signatures
 * @throws {LedgerError} `ERR_LEDGER_NOTE_MALFORMED`, or `ERR_LEDGER_NOTE_UNVERIFIED` when a known key's
 *   signature does not verify or no known key signed
 * @see C2SP signed-note, "Signatures"
 */
export function openNote(note: string, verifiers: readonly NoteVerifier[]): OpenedNote {
  const { text, lines } = splitNote(note);
  const message = Buffer.from(text);
  const signers: NoteSignature[] = [];
  for (const line of lines) {
    const { name, keyId, signature } = parseSignatureLine(line);
    // The tuple of name and ID names a key: a match of one alone is an unknown key.
    const known = verifiers.find((each) => each.name === name && each.keyId === keyId);
    if (known === undefined) continue;
    if (!known.verify(message, signature)) {
      throw new LedgerError(
        'ERR_LEDGER_NOTE_UNVERIFIED',
        `could not open note: found a wrong signature of '${name}'`,
      );
    }
    if (!signers.some((each) => each.name === name && each.keyId === keyId)) {
      const atSeconds = known.timeOf?.(signature);
      signers.push({ name, keyId, ...(atSeconds !== undefined && { atSeconds }) });
    }
  }
  if (signers.length === 0) {
    const names = verifiers.map((each) => `'${each.name}'`).join(', ');
    throw new LedgerError(
      'ERR_LEDGER_NOTE_UNVERIFIED',
      `could not open note: found ${lines.length} signatures by unknown keys, expected one of ${names}`,
    );
  }
  return { text, signers };
}

/** Text and signature lines; the last empty line parts them. */
function splitNote(note: string): { text: string; lines: string[] } {
  if (note.length > NOTE_LENGTH_MAX) {
    refuseNote(`found ${note.length} characters, expected at most ${NOTE_LENGTH_MAX}`);
  }
  const parting = note.lastIndexOf('\n\n');
  if (parting < 0 || !note.endsWith('\n'))
    refuseNote('found no text, empty line and signature lines');
  const text = note.slice(0, parting + 1);
  requireText(text);
  const lines = note.slice(parting + 2, -1).split('\n');
  if (parting + 2 >= note.length) refuseNote('found no signature lines');
  if (lines.length > SIGNATURES_MAX) {
    refuseNote(`found ${lines.length} signatures, expected at most ${SIGNATURES_MAX}`);
  }
  return { text, lines };
}

const SIGNATURE_LINE = /^\u2014 ([^\s+\u0085]+) ([A-Za-z0-9+/]+={0,2})$/u;

function parseSignatureLine(line: string): { name: string; keyId: string; signature: Buffer } {
  const [, name = '', encoded = ''] = SIGNATURE_LINE.exec(line) ?? [];
  const blob = decodeBase64(encoded);
  if (blob === undefined || blob.length <= KEY_ID_BYTES) {
    return refuseNote('found a line that is no signature line');
  }
  return {
    name,
    keyId: blob.toString('hex', 0, KEY_ID_BYTES),
    signature: blob.subarray(KEY_ID_BYTES),
  };
}

/** C2SP signed-note: valid Unicode, no control characters but newline, ends in newline. */
function requireText(text: string): void {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  const hasControls = /[\u0000-\u0009\u000b-\u001f]/.test(text);
  if (!text.endsWith('\n') || hasControls || !text.isWellFormed()) {
    refuseNote('found a text that has control characters or does not end in a newline');
  }
}

function refuseNote(found: string): never {
  throw new LedgerError('ERR_LEDGER_NOTE_MALFORMED', `could not read note: ${found}`);
}
