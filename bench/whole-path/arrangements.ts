import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startChild } from '@countersign/cli';
import type { Cleanup } from './cleanup.ts';
import { freePorts } from './free-ports.ts';
import { authRequestConfig, proxyConfig, startNginx, upstreamConfig } from './nginx.ts';
import { makePartner, type PartnerFiles } from './partner.ts';
import { type Countersign, startCountersign } from './start-countersign.ts';
import { AUDIENCE, TARGET, writeRepository } from './write-repository.ts';

/** One way to put something before the resource. */
export interface Arrangement {
  readonly name: 'A' | 'B' | "B'" | 'C' | 'D';
  readonly label: string;
  readonly url: string;
  /** The processes whose CPU is counted. */
  pids(): readonly number[];
  /** Processes that work for it elsewhere. */
  readonly besidePids: readonly number[];
}

/** All arrangements, running. */
export interface Arrangements {
  readonly all: readonly Arrangement[];
  readonly partner: PartnerFiles;
  readonly countersign: Countersign;
}

/** What is measured runs here alone; load, resource and authority on the other. */
export const MEASURED_CPU = 1;
export const OTHER_CPU = 0;

const STOP_GRACE_MS = 2_000;

/** Starts everything in `folder`; `cleanup` stops what was started, also when the rest fails to. */
export async function startArrangements(
  folder: string,
  { cleanup, ...options }: { readonly cleanup: Cleanup; readonly profileFolder?: string },
): Promise<Arrangements> {
  const partner = await makePartner(join(folder, 'partner'));
  const ports = await freePorts([
    ...(['control', 'issuer', 'enforced', 'watched', 'upstream'] as const),
    ...(['plain', 'asking', 'askingCached', 'auth', 'authCached'] as const),
  ]);
  const upstream = await startNginx(join(folder, 'upstream'), [upstreamConfig(ports.upstream)], {
    port: ports.upstream,
    cpu: OTHER_CPU,
  });
  cleanup.add(upstream.stop);

  const repositoryFolder = join(folder, 'repository');
  writeRepository(repositoryFolder, {
    ports,
    upstreamPort: ports.upstream,
    partnerAuthorityFile: partner.authorityFile,
    partnerCertificateFile: partner.certificateFile,
  });
  const countersign = await startCountersign({
    repositoryFolder,
    dataRoot: join(folder, 'data'),
    issuerPort: ports.issuer,
    partner,
    gatewayCpu: MEASURED_CPU,
    authorityCpu: OTHER_CPU,
    ...options,
  });
  cleanup.add(countersign.stop);

  const jwksFile = join(folder, 'jwks.json');
  writeFileSync(jwksFile, JSON.stringify(await countersign.keys()));
  const startAuth = async (port: number, isCaching: boolean) => {
    const settings = {
      port,
      jwksFile,
      issuer: countersign.issuerUrl,
      audience: AUDIENCE,
      isCaching,
    };
    const child = await startChild({
      name: 'auth-service',
      command: [
        ...['taskset', '-c', String(MEASURED_CPU), process.execPath],
        ...[join(import.meta.dirname, 'auth-service.ts'), JSON.stringify(settings)],
      ],
      env: {},
      logFile: join(folder, 'auth-service.txt'),
    });
    cleanup.add(() => child.stop({ graceMs: STOP_GRACE_MS }));
    return child.pid;
  };
  const authPid = await startAuth(ports.auth, false);
  const authCachedPid = await startAuth(ports.authCached, true);

  const tls = {
    certificateFile: partner.serverCertificateFile,
    keyFile: partner.serverKeyFile,
    clientAuthoritiesFile: partner.authorityFile,
  };
  // One nginx each: what it used is counted by process.
  const nginx = async (name: string, port: number, server: string) => {
    const started = await startNginx(join(folder, name), [server], { port, cpu: MEASURED_CPU });
    cleanup.add(started.stop);
    return started;
  };
  const plain = await nginx('plain', ports.plain, proxyConfig(ports.plain, ports.upstream, tls));
  const asking = await nginx(
    'asking',
    ports.asking,
    authRequestConfig(ports.asking, ports.upstream, ports.auth, tls),
  );
  const askingCached = await nginx(
    'asking-cached',
    ports.askingCached,
    authRequestConfig(ports.askingCached, ports.upstream, ports.authCached, tls),
  );

  const url = (port: number) => `https://127.0.0.1:${port}${TARGET}`;
  const gateway = {
    pids: () => [countersign.gateway.pid],
    besidePids: [countersign.authority.pid],
  };
  return {
    partner,
    countersign,
    all: [
      {
        name: 'A',
        label: 'nginx, mTLS proxy',
        url: url(ports.plain),
        pids: plain.pids,
        besidePids: [],
      },
      {
        name: 'B',
        label: 'nginx, auth_request to a Node service that verifies the token',
        url: url(ports.asking),
        pids: () => [...asking.pids(), authPid],
        besidePids: [],
      },
      {
        name: "B'",
        label: 'the same, with a service that caches verified tokens',
        url: url(ports.askingCached),
        pids: () => [...askingCached.pids(), authCachedPid],
        besidePids: [],
      },
      { name: 'C', label: 'Countersign gateway, enforce', url: url(ports.enforced), ...gateway },
      { name: 'D', label: 'Countersign gateway, shadow', url: url(ports.watched), ...gateway },
    ],
  };
}
