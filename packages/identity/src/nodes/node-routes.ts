import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { answerProblems, problem } from '../problem.ts';
import { PUBLIC_ANSWERS, type Refusal } from '../refusal.ts';
import type { ControlPeer } from '../svids.ts';
import type { NodeState, Nodes } from './nodes.ts';

const BODY_BYTES_MAX = 32 * 1024;
/** Shorter than what proxies and clients take for a dead connection. */
const WAIT_MS_MAX = 20_000;

const svidShape = z.strictObject({ spiffeId: z.string().max(2048), request: z.string() });
const jwtShape = z.strictObject({
  spiffeId: z.string().max(2048),
  audiences: z.array(z.string().min(1).max(2048)).min(1).max(16),
});

/**
 * What nodes ask of the authority: `GET /v1/node/entries?after=<version>` (answers when there is another version, after
 * 20 s at the latest), `POST /v1/node/svids` and `POST /v1/node/jwt-svids` for the workloads that they attest.
 *
 * @param options `onChange` calls back whenever who is registered, enabled or revoked may have changed
 */
export function nodeRoutes(options: {
  readonly nodes: Nodes;
  readonly peer: (request: FastifyRequest) => ControlPeer | undefined;
  readonly onChange: (listener: () => void) => () => void;
}): FastifyPluginAsync {
  const { nodes, peer, onChange } = options;
  return async (app) => {
    answerProblems(app);
    app.get<{ Querystring: { after?: string } }>('/v1/node/entries', async (request, reply) => {
      const state = await stateAfter(request.query.after, request);
      return state.isGranted
        ? reply.header('cache-control', 'no-store').send(state)
        : refused(reply, state);
    });
    app.post('/v1/node/svids', { bodyLimit: BODY_BYTES_MAX }, async (request, reply) => {
      const result = await nodes.issue(svidShape.parse(request.body), peer(request));
      return result.isGranted
        ? reply.header('cache-control', 'no-store').send(result)
        : refused(reply, result);
    });
    app.post('/v1/node/jwt-svids', { bodyLimit: BODY_BYTES_MAX }, async (request, reply) => {
      const result = await nodes.issueJwt(jwtShape.parse(request.body), peer(request));
      return result.isGranted
        ? reply.header('cache-control', 'no-store').send(result)
        : refused(reply, result);
    });
  };

  /** The state as soon as it is another one; a node that is refused meanwhile hears that at once. */
  async function stateAfter(
    version: string | undefined,
    request: FastifyRequest,
  ): Promise<NodeState | Refusal> {
    const now = (): NodeState | Refusal => nodes.state(peer(request));
    const unknown = await nodes.refuseUnknown(peer(request));
    if (unknown) return unknown;
    const first = now();
    if (!first.isGranted || first.version !== version) return first;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, WAIT_MS_MAX);
    request.raw.once('close', resolve);
    const off = onChange(() => {
      const state = now();
      if (!state.isGranted || state.version !== version) resolve();
    });
    await promise;
    off();
    clearTimeout(timer);
    return now();
  }
}

function refused(reply: Parameters<typeof problem>[0], { code }: Refusal) {
  return problem(reply, PUBLIC_ANSWERS[code]);
}
