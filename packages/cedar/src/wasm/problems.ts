import type { DetailedError } from '@cedar-policy/cedar-wasm/nodejs';
import type { CedarErrorCode } from '../cedar-error.ts';
import type { CedarProblem } from '../engine.ts';

/** One of Cedar's errors as a problem of ours; `text` is what its byte offsets count in. */
export function toProblem(
  error: Pick<DetailedError, 'message'> & Partial<Pick<DetailedError, 'help' | 'sourceLocations'>>,
  about: {
    readonly code: CedarErrorCode;
    readonly text: string;
    readonly policy?: string;
    readonly severity?: 'error' | 'warning';
  },
): CedarProblem {
  const location = error.sourceLocations?.[0];
  return {
    code: about.code,
    severity: about.severity ?? 'error',
    message: error.message.replaceAll(/\s+/g, ' '),
    ...(about.policy !== undefined && { policy: about.policy }),
    ...(error.help && { help: error.help.replaceAll(/\s+/g, ' ') }),
    ...(location && {
      start: utf16Offset(about.text, location.start),
      end: utf16Offset(about.text, location.end),
    }),
  };
}

/** Cedar counts bytes of UTF-8, JavaScript counts UTF-16 units. */
function utf16Offset(text: string, byteOffset: number): number {
  let bytes = 0;
  let offset = 0;
  for (const character of text) {
    if (bytes >= byteOffset) break;
    const code = character.codePointAt(0) ?? 0;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    offset += character.length;
  }
  return offset;
}
