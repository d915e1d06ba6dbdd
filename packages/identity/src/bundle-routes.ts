import { type StatementSigner, signStatement } from '@countersign/state';
import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Identity } from './identity.ts';
import { answerProblems } from './problem.ts';

/** `typ` of a signed bundle. */
export const BUNDLE_TYPE = 'countersign-bundle+jwt';

/** Shorter than what proxies and clients take for a dead connection. */
const WAIT_MS_MAX = 20_000;
/** Hosts that wait for another bundle at once; the next ones are answered at once and come again. */
const WAITING_MAX = 10_000;

const queryShape = z.strictObject({
  after: z.coerce.number().int().nonnegative().optional(),
  /** Chosen by who asks, so that an answer of then does not pass for one of now. */
  nonce: z
    .string()
    .regex(/^[A-Za-z0-9_-]{22,86}$/)
    .optional(),
});

/**
 * Who vouches for the trust domain: `GET /v1/trust-bundle?after=<sequence>&nonce=<base64url>` answers `{"bundle":"<JWS>"}`, 204
 * where there is no later one than `after`. Whoever shows an SVID of ours waits for news, 20 s at the longest.
 *
 * It needs no certificate: a host that was off while the authorities rotated knows nobody who vouches for this listener, but it
 * knows the key that facts are signed with.
 *
 * @param options `isKnown` whether the caller may wait
 */
export function bundleRoutes(options: {
  readonly identity: Pick<Identity, 'bundle' | 'refusedAuthorities' | 'onChange'>;
  readonly signer: StatementSigner;
  readonly isKnown: (request: FastifyRequest) => boolean;
  readonly now: () => number;
}): FastifyPluginAsync {
  const { identity, signer, isKnown, now } = options;
  let waiting = 0;

  const isNews = (after: number | undefined): boolean =>
    (identity.bundle().sequence ?? 0) > (after ?? -1);

  async function waitForNews(after: number | undefined, request: FastifyRequest): Promise<void> {
    if (isNews(after) || !isKnown(request) || waiting >= WAITING_MAX) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, WAIT_MS_MAX);
    request.raw.once('close', resolve);
    const off = identity.onChange(() => isNews(after) && resolve());
    waiting += 1;
    await promise;
    waiting -= 1;
    off();
    clearTimeout(timer);
  }

  return async (app) => {
    answerProblems(app);
    app.get('/v1/trust-bundle', async (request, reply) => {
      const { after, nonce } = queryShape.parse(request.query);
      await waitForNews(after, request);
      reply.header('cache-control', 'no-store');
      if (!isNews(after)) return reply.code(204).send();
      const { trustDomain, x509Authorities, sequence = 0 } = identity.bundle();
      const payload = {
        ...{ trustDomain, sequence, x509Authorities },
        refused: identity.refusedAuthorities(),
        iat: Math.floor(now() / 1000),
        ...(nonce !== undefined && { nonce }),
      };
      return { bundle: await signStatement(payload, { type: BUNDLE_TYPE, signer }) };
    });
  };
}
