import { LedgerError } from '../ledger-error.ts';
import { HASH_BYTES } from '../merkle/hash.ts';
import { BUNDLE_BYTES_MAX } from './entry-bundle.ts';
import type { FetchTile } from './fetch-tile.ts';
import { TILE_WIDTH } from './tile-path.ts';

const OTHER_BYTES_MAX = 512 * 1024;
const TIMEOUT_MS = 30_000;

/**
 * A published log behind HTTP, as C2SP tlog-tiles has it: `GET <prefix>/<path>`; 404 and 410 mean that there is none.
 *
 * @param options.prefix an http(s) URL, with or without a trailing slash
 * @param options.fetch the platform's; whoever must authenticate gives one that does
 * @param options.timeoutMs for one resource, default 30 s
 * @returns rejects with `ERR_LEDGER_FETCH` for another status, a longer answer than the resource can have, or none
 * @throws {LedgerError} `ERR_LEDGER_OPTION` for a prefix that is no http(s) URL, or has a query or fragment
 * @see C2SP tlog-tiles, "APIs"
 */
export function httpTiles(options: {
  readonly prefix: string;
  readonly fetch: typeof fetch;
  readonly timeoutMs?: number;
}): FetchTile {
  const prefix = prefixOf(options.prefix);
  const { timeoutMs = TIMEOUT_MS } = options;
  return async (path) => {
    const url = `${prefix}/${path}`;
    try {
      // Not `redirect: 'error'`: a static store may redirect, and nothing that comes back is trusted.
      const response = await options.fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
      if (response.status === 404 || response.status === 410) {
        await response.body?.cancel();
        return undefined;
      }
      if (response.status !== 200) {
        await response.body?.cancel();
        return refuse(url, `found status ${response.status}, expected 200 or 404`);
      }
      return await readBody(response, url, bytesMaxOf(path));
    } catch (cause) {
      if (cause instanceof LedgerError) throw cause;
      throw new LedgerError('ERR_LEDGER_FETCH', `could not fetch '${url}': found no answer`, {
        cause,
      });
    }
  };
}

async function readBody(response: Response, url: string, bytesMax: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body ?? []) {
    length += part.length;
    // Counted as it comes: a length that the other side says, or none, holds nobody to it.
    if (length > bytesMax) refuse(url, `found more than ${bytesMax} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function bytesMaxOf(path: string): number {
  if (path.startsWith('tile/entries/')) return BUNDLE_BYTES_MAX;
  return path.startsWith('tile/') ? TILE_WIDTH * HASH_BYTES : OTHER_BYTES_MAX;
}

function prefixOf(text: string): string {
  const url = URL.parse(text);
  const isHttp = url?.protocol === 'https:' || url?.protocol === 'http:';
  if (url === null || !isHttp || url.search !== '' || url.hash !== '') {
    throw new LedgerError(
      'ERR_LEDGER_OPTION',
      `could not read tiles: found prefix '${text}', expected an http(s) URL without query and fragment`,
    );
  }
  return url.href.replace(/\/+$/, '');
}

function refuse(url: string, found: string): never {
  throw new LedgerError('ERR_LEDGER_FETCH', `could not fetch '${url}': ${found}`);
}
