import type { Random } from '../random.ts';
import type { Uid } from './model.ts';

const RESERVED = new Set([
  'true',
  'false',
  'if',
  'then',
  'else',
  'in',
  'is',
  'like',
  'has',
  '__cedar',
]);

/** Whether a name may stand after a point and left of a colon. */
export function isIdentifier(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !RESERVED.has(name);
}

/** A Cedar string literal: what must be escaped is, and now and then what need not be. */
export function quote(text: string, random?: Random): string {
  let quoted = '"';
  for (const character of text) quoted += escaped(character, random);
  return `${quoted}"`;
}

function escaped(character: string, random: Random | undefined): string {
  const code = character.codePointAt(0) ?? 0;
  switch (character) {
    case '"':
    case '\\':
      return `\\${character}`;
    case '\n':
      return random?.chance(0.3) ? '\n' : '\\n';
    case '\r':
      return '\\r';
    case '\0':
      return random?.chance(0.5) ? '\\u{0}' : '\\0';
    default:
      break;
  }
  if (!random?.chance(0.06)) return character;
  return code < 0x80 && random.chance(0.5)
    ? `\\x${code.toString(16).padStart(2, '0')}`
    : `\\u{${code.toString(16)}}`;
}

export function uidText(uid: Uid, random?: Random): string {
  return `${uid.type}::${quote(uid.id, random)}`;
}
