import { type CedarUid, parseUidText } from '@countersign/cedar';
import { UsageError } from '../command-line/command.ts';
import { printable } from '../record/printable.ts';

/**
 * An entity as it is typed: `User::"alice"`, `Bank::Account::"22289"`.
 *
 * @param where what names it, for the message: `--principal`
 * @throws {UsageError} when it is none
 */
export function entityNamed(text: string, where: string): CedarUid {
  const uid = parseUidText(text);
  if (uid) return uid;
  const [, type, id] = /^((?:[a-zA-Z_][a-zA-Z0-9_]*::)+)([^"'\\]+)$/.exec(text) ?? [];
  // The commonest cause by far: a shell takes the quotes away that no other quotes protect.
  const mend =
    type && id ? `; did you mean '${type}"${printable(id)}"', both quotes included?` : '';
  throw new UsageError(
    `found ${where} '${printable(text.slice(0, 200))}', expected an entity such as 'User::"alice"'${mend}`,
  );
}
