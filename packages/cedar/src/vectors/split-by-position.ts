import type { PolicySource } from '../engine.ts';
import { lex, type Token } from '../text/lex.ts';
import { unescapeString } from '../text/unescape.ts';

/** The policies and templates of one file, called by their places in it, as the official tools do. */
export interface PositionalPolicies {
  readonly policies: readonly PolicySource[];
  readonly templates: readonly PolicySource[];
  /** The place of each `@id` among the templates: links may name a template by either. */
  readonly templateIds: ReadonlyMap<string, string>;
}

/** @throws {Error} when the text has something in it that is no word of Cedar */
export function splitByPosition(text: string): PositionalPolicies {
  const { tokens, fault } = lex(text);
  if (fault) throw new Error(`cannot read policies: ${fault.message}`);
  const policies: PolicySource[] = [];
  const templates: PolicySource[] = [];
  const templateIds = new Map<string, string>();
  for (const [place, words] of cutAtSemicolons(tokens).entries()) {
    const id = `policy${place}`;
    const source = { id, text: text.slice(words[0]?.start, words.at(-1)?.end) };
    if (words.some((word) => word.kind === 'slot')) {
      templates.push(source);
      const annotated = annotatedId(words);
      if (annotated !== undefined) templateIds.set(annotated, id);
    } else {
      policies.push(source);
    }
  }
  return { policies, templates, templateIds };
}

/** The words of each policy, its semicolon included; what stands behind the last one is its own part. */
function cutAtSemicolons(tokens: readonly Token[]): readonly (readonly Token[])[] {
  const parts: (readonly Token[])[] = [];
  let first = 0;
  for (const [index, token] of tokens.entries()) {
    // No semicolon stands inside a policy: strings are words of their own.
    if (token.kind !== 'punctuation' || token.text !== ';') continue;
    parts.push(tokens.slice(first, index + 1));
    first = index + 1;
  }
  return first < tokens.length ? [...parts, tokens.slice(first)] : parts;
}

function annotatedId(words: readonly Token[]): string | undefined {
  const at = words.findIndex((word, index) => word.text === '@' && words[index + 1]?.text === 'id');
  const literal = at < 0 ? undefined : words[at + 3];
  return literal?.kind === 'string' ? unescapeString(literal.text) : undefined;
}
