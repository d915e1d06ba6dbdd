import { JWT_AUDIENCES } from '@countersign/spiffe';
import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { answerProblems, publicProblem } from '../problem.ts';
import { type Refusal, refusal } from '../refusal.ts';
import type { ControlPeer } from '../svids.ts';
import type { NodeState, Nodes } from './nodes.ts';

const BODY_BYTES_MAX = 32 * 1024;
/** Shorter than what proxies and clients take for a dead connection. */
const WAIT_MS_MAX = 20_000;
/** A node has one; one that was started anew leaves another behind until that is seen to be gone. */
const WAITING_MAX = 4;

const svidShape = z.strictObject({ spiffeId: z.string().max(2048), request: z.string() });
const jwtShape = z.strictObject({
  spiffeId: z.string().max(2048),
  audiences: z
    .array(z.string().min(1).max(JWT_AUDIENCES.charactersMax))
    .min(1)
    .max(JWT_AUDIENCES.max),
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
  const texts = new WeakMap<NodeState, string>();
  const waiting = new Map<string, number>();
  const wait = (node: string, by: 1 | -1): void => {
    const count = (waiting.get(node) ?? 0) + by;
    if (count === 0) waiting.delete(node);
    else waiting.set(node, count);
  };
  return async (app) => {
    answerProblems(app);
    app.get<{ Querystring: { after?: string } }>('/v1/node/entries', async (request, reply) => {
      const state = await stateAfter(request.query.after, request);
      return state.isGranted
        ? reply.header('cache-control', 'no-store').type('application/json').send(textOf(state))
        : publicProblem(reply, state);
    });
    app.post('/v1/node/svids', { bodyLimit: BODY_BYTES_MAX }, async (request, reply) => {
      const result = await nodes.issue(svidShape.parse(request.body), peer(request));
      return result.isGranted
        ? reply.header('cache-control', 'no-store').send(result)
        : publicProblem(reply, result);
    });
    app.post('/v1/node/jwt-svids', { bodyLimit: BODY_BYTES_MAX }, async (request, reply) => {
      const result = await nodes.issueJwt(jwtShape.parse(request.body), peer(request));
      return result.isGranted
        ? reply.header('cache-control', 'no-store').send(result)
        : publicProblem(reply, result);
    });
  };

  /** Written once for all who get it. */
  function textOf(state: NodeState): string {
    const text = texts.get(state) ?? JSON.stringify(state);
    texts.set(state, text);
    return text;
  }

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
    const node = peer(request)?.spiffeId ?? '';
    if ((waiting.get(node) ?? 0) >= WAITING_MAX) {
      return refusal('request-rate', `found ${WAITING_MAX} requests of ${node} waiting`);
    }
    wait(node, 1);
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
    wait(node, -1);
    return now();
  }
}
