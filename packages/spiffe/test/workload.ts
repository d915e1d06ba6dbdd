import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Bundle,
  createJwtIssuer,
  createWorkloadServer,
  type SpiffeId,
  softwareSigner,
  type WorkloadBundles,
  type WorkloadChange,
  type WorkloadServerOptions,
  type WorkloadSource,
  type WorkloadX509Svid,
} from '@countersign/spiffe';
import { newAuthority, p256, TRUST_DOMAIN } from './support.ts';

/** A small registry with authorities of its own, as a node would have one behind its Workload API. */
export async function newRegistry({ trustDomain = TRUST_DOMAIN, ttlSeconds = 3600 } = {}) {
  const signer = softwareSigner(p256());
  const authority = await newAuthority({ trustDomain, signer });
  const jwt = createJwtIssuer({ trustDomain, signer: softwareSigner(p256()), now: Date.now });
  const listeners = new Set<(change?: WorkloadChange) => void>();
  const state = {
    entries: [] as { spiffeId: SpiffeId; hint?: string }[],
    own: {
      trustDomain,
      x509Authorities: [authority.certificate],
      jwtAuthorities: [jwt.authority],
      sequence: 1,
      refreshHintSeconds: 60,
    } as Bundle,
    federated: [] as Bundle[],
    failure: undefined as Error | undefined,
    issuedCount: 0,
    /** Who signs from now on; whether anybody believes it, `own` says. */
    issuer: authority,
  };
  const source: WorkloadSource<unknown> = {
    x509Svids: async () => {
      if (state.failure) throw state.failure;
      return Promise.all(
        state.entries.map(async ({ spiffeId, hint }): Promise<WorkloadX509Svid> => {
          const { publicKey, privateKey } = p256();
          const { chain } = await state.issuer.issueSvid({ spiffeId, publicKey, ttlSeconds });
          state.issuedCount += 1;
          return {
            spiffeId,
            chain,
            privateKey: privateKey.export({ format: 'der', type: 'pkcs8' }),
            ...(hint === undefined ? {} : { hint }),
          };
        }),
      );
    },
    jwtSvids: async (_caller, { audiences, spiffeId }) => {
      const entries = state.entries.filter((e) => !spiffeId || e.spiffeId.uri === spiffeId.uri);
      return Promise.all(
        entries.map(async ({ spiffeId, hint }) => ({
          ...(await jwt.issueSvid({ spiffeId, audiences, ttlSeconds: 300 })),
          ...(hint === undefined ? {} : { hint }),
        })),
      );
    },
    bundles: async (): Promise<WorkloadBundles | undefined> =>
      state.entries.length === 0 ? undefined : { own: state.own, federated: state.federated },
    onChange: (_caller, listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  return {
    authority,
    jwt,
    state,
    source,
    listeners,
    change: (edit: (of: typeof state) => void) => {
      edit(state);
      for (const listener of listeners) listener();
    },
  };
}

export type Registry = Awaited<ReturnType<typeof newRegistry>>;

/** Serves a registry on a unix socket in a folder of its own. */
export async function serveWorkloads(
  { source }: Pick<Registry, 'source'>,
  more: Partial<WorkloadServerOptions<unknown>> = {},
) {
  const folder = mkdtempSync(join(tmpdir(), 'spiffe-'));
  const path = join(folder, 'w.sock');
  const errors: { error: unknown; what: string }[] = [];
  const attested: Socket[] = [];
  const api = createWorkloadServer<unknown>({
    attest: (socket) => {
      attested.push(socket);
      return 'caller';
    },
    source,
    now: Date.now,
    onError: (error, what) => errors.push({ error, what }),
    ...more,
  });
  api.server.listen(path);
  await once(api.server, 'listening');
  return {
    path,
    endpoint: `unix://${path}`,
    errors,
    attested,
    close: async () => {
      await api.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The leaf's serial of each SVID says whether it is a new one. */
export function serialOf(der: Uint8Array | undefined): string {
  return Buffer.from(der ?? []).toString('hex', 15, 31);
}
