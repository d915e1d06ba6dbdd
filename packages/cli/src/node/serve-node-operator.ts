import { chmod, stat } from 'node:fs/promises';
import {
  IdentityError,
  isEntitled,
  missingOf,
  type ProcessAttestor,
} from '@countersign/identity/attestation';
import Fastify from 'fastify';
import { claimSocket } from './claim-socket.ts';
import type { NodeSource } from './node-source.ts';

/** Why a process gets an identity on a node, or does not. */
export interface Explanation {
  readonly pid: number;
  readonly node: string;
  /** By what the node joined, in the authority's words; absent when an older version kept its SVID. */
  readonly joinedBy?: string;
  /** What the node sees of it. */
  readonly selectors: readonly string[];
  readonly entries: readonly {
    readonly spiffeId: string;
    readonly isEntitled: boolean;
    /** The alternatives, and of each what the process lacks. */
    readonly alternatives: readonly {
      readonly selectors: readonly string[];
      readonly missing: readonly string[];
    }[];
  }[];
}

/** Serves who runs the node, on a unix socket of mode 0600: `GET /v1/entries`, `GET /v1/processes/<pid>`. */
export async function serveNodeOperator(
  path: string,
  options: {
    readonly source: NodeSource;
    readonly attestor: ProcessAttestor;
    readonly spiffeId: string;
    readonly joinedBy: () => string | undefined;
  },
): Promise<{ close(): Promise<void> }> {
  const { source, attestor, spiffeId: node } = options;
  const app = Fastify({ forceCloseConnections: true });
  app.get('/v1/entries', async () => ({ node, entries: source.entries() }));
  app.get<{ Params: { pid: string } }>('/v1/processes/:pid', async (request, reply) => {
    const pid = Number(request.params.pid);
    try {
      const { uid, gid } = await stat(`/proc/${pid}`);
      const process = await attestor.attest({ pid, uid, gid });
      await process.close();
      const found = process.selectors;
      const explanation: Explanation = {
        ...{ pid, node },
        ...withJoinedBy(options.joinedBy()),
        selectors: [...found].sort(),
        entries: source.entries().map(({ spiffeId, selectors }) => ({
          spiffeId,
          isEntitled: isEntitled(selectors, found),
          alternatives: missingOf(selectors, found).map((missing, at) => ({
            selectors: selectors[at] ?? [],
            missing,
          })),
        })),
      };
      return explanation;
    } catch (error) {
      const isNone = error instanceof IdentityError || hasCode(error, 'ENOENT');
      if (!isNone) throw error;
      return reply
        .code(404)
        .type('application/problem+json')
        .send({
          title: 'Not Found',
          status: 404,
          detail: `found no process ${request.params.pid}`,
        });
    }
  });
  await claimSocket(path);
  // The mode is the authentication: it must be right from the first moment.
  const before = process.umask(0o177);
  try {
    await app.listen({ path });
  } finally {
    process.umask(before);
  }
  await chmod(path, 0o600);
  return { close: () => app.close() };
}

function withJoinedBy(joinedBy: string | undefined): Pick<Explanation, 'joinedBy'> {
  return joinedBy === undefined ? {} : { joinedBy };
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
