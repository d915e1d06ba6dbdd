import { lex, type Token } from './lex.ts';

/**
 * The first key that an object of a JSON text has twice. `JSON.parse` would keep the last and say nothing, where
 * Cedar's own reader refuses.
 *
 * @param json a text that `JSON.parse` takes
 */
export function duplicateKey(json: string): Token | undefined {
  const { tokens } = lex(json);
  const open: (Set<string> | undefined)[] = [];
  for (const [index, token] of tokens.entries()) {
    if (token.kind === 'string') {
      const keys = open.at(-1);
      if (!keys || tokens[index + 1]?.text !== ':') continue;
      const key: string = JSON.parse(token.text);
      if (keys.has(key)) return token;
      keys.add(key);
    } else if (token.text === '{') {
      open.push(new Set());
    } else if (token.text === '[') {
      open.push(undefined);
    } else if (token.text === '}' || token.text === ']') {
      open.pop();
    }
  }
  return undefined;
}
