import { type FetchTile, LedgerError } from '@countersign/ledger';
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';

/** What the routes need. */
export interface TileRoutesOptions {
  /**
   * Where the published log of a name is read from; nothing where there is none or the caller may not read it, which
   * are one answer. Asked for each request, so that it decides about each.
   */
  readonly published: (name: string, request: FastifyRequest) => FetchTile | undefined;
}

/** A tile's path and bytes never change once a checkpoint covers it; the answer is for the one who may have it. */
const IMMUTABLE = 'private, max-age=31536000, immutable';
const TEXT = 'text/plain; charset=utf-8';

/**
 * The read paths of C2SP tlog-tiles as a Fastify plugin, under the prefix `/v1/published/:name`: `checkpoint`, `tile/*`, and
 * `vkey`. Reads only; what is served is what `publishTiles` put in place. A path that is not there, not the standard's, or not the
 * caller's is 404 (a problem document, RFC 9457).
 *
 * @see C2SP tlog-tiles, "APIs"
 */
export function tileRoutes({ published }: TileRoutesOptions): FastifyPluginAsync {
  return async (app) => {
    const route =
      (headers: { type: string; cache: string }) =>
      async (request: FastifyRequest, reply: FastifyReply) => {
        const { name, '*': rest } = request.params as { name: string; '*'?: string };
        const read = published(name, request);
        const path = rest === undefined ? (request.url.split(/[/?]/).at(4) ?? '') : `tile/${rest}`;
        const bytes = read && (await readStandard(read, path));
        if (bytes === undefined) return notFound(reply);
        return reply
          .type(headers.type)
          .header('cache-control', headers.cache)
          .header('x-content-type-options', 'nosniff')
          .send(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
      };
    // "its headers SHOULD prevent caching beyond a few seconds"
    app.get('/v1/published/:name/checkpoint', route({ type: TEXT, cache: 'no-cache' }));
    app.get('/v1/published/:name/vkey', route({ type: TEXT, cache: 'no-cache' }));
    app.get(
      '/v1/published/:name/tile/*',
      route({ type: 'application/octet-stream', cache: IMMUTABLE }),
    );
  };
}

async function readStandard(read: FetchTile, path: string): Promise<Uint8Array | undefined> {
  try {
    return await read(path);
  } catch (error) {
    // A path that no log of the standard has.
    if (error instanceof LedgerError && error.code === 'ERR_LEDGER_RANGE') return undefined;
    throw error;
  }
}

function notFound(reply: FastifyReply): FastifyReply {
  return reply
    .code(404)
    .type('application/problem+json')
    .header('cache-control', 'no-store')
    .send({ status: 404, title: 'not found', code: 'unknown', detail: 'found no such resource' });
}
