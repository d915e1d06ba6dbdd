import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** The drill's own trust domain: what it issues is good nowhere else, whatever else is wrong. */
export const DRILL_DOMAIN = 'drill.invalid';

/** Each has a socket of its own at the node, by which it is known there. */
export const CLIENTS: readonly string[] = Array.from({ length: 20 }, (_, at) => `client-${at + 1}`);
export const SERVICES = ['service-1', 'service-2'] as const;

export const HOST_ID = `spiffe://${DRILL_DOMAIN}/workload/hosts/drill`;
export const POINT = 'drill';
export const POINT_ID = `spiffe://${DRILL_DOMAIN}/workload/countersign/${POINT}`;
/** What is asked for at the point. */
export const POINT_TARGET = '/drill/ping';

/** The SPIFFE ID of a client or a service. */
export function drillId(name: string): string {
  return `spiffe://${DRILL_DOMAIN}/workload/drill/${name}`;
}

/** What the bank of a drill is told of the machine. */
export interface DrillRepositoryOptions {
  readonly ttlSeconds: number;
  readonly ports: { readonly control: number; readonly issuer: number; readonly point: number };
  /** Where the resource behind the point listens. */
  readonly resourceSocket: string;
}

/** Writes the repository of a bank with one host, some workloads and one enforcement point. */
export async function writeDrillRepository(
  folder: string,
  { ttlSeconds, ports, resourceSocket }: DrillRepositoryOptions,
): Promise<void> {
  const files: Record<string, string> = {
    'countersign.yaml': `trustDomain: ${DRILL_DOMAIN}
authority:
  control: 127.0.0.1:${ports.control}
  issuer: 127.0.0.1:${ports.issuer}
  issuerUrl: https://localhost:${ports.issuer}
  svidTtl: ${ttlSeconds}s
points:
  ${POINT}:
    kind: sidecar
    listeners:
      - name: mesh
        address: 127.0.0.1:${ports.point}
        routes: [{ surface: ping }]
record: { publish: false }
`,
    'surfaces/ping.yaml': `name: ping
title: What the drill asks for
owner: drill@${DRILL_DOMAIN}
criticality: low
openapi: ping.openapi.yaml
basePath: /drill
mode: enforce
upstream: { unix: ${resourceSocket} }
audience: https://ping.${DRILL_DOMAIN}
factsMaxAge: 60s
`,
    'surfaces/ping.openapi.yaml': `openapi: 3.1.0
info: { title: Ping, version: 1.0.0 }
paths:
  /ping:
    get:
      operationId: GetPing
      responses:
        '200': { description: Who was called. }
`,
    'policies/ping.cedar': `@id("drill-clients-ping")
permit (principal is Workload, action == Ping::Action::"GetPing", resource is Surface)
when { !(context has caller) };
`,
    'policies/tests/ping.yaml': `- name: a client of the drill pings
  request:
    subject: workload/drill/client-1
    surface: ping
    action: GetPing
  expect: permit
- name: nobody pings for another
  request:
    subject: workload/drill/client-1
    surface: ping
    action: GetPing
    caller: workload/drill/client-2
  expect: deny
`,
    'identities/workloads.yaml': [
      `- { id: workload/hosts/drill, owner: drill@${DRILL_DOMAIN}, isNode: true }`,
      ...[...CLIENTS, ...SERVICES].map(
        (name) =>
          `- { id: workload/drill/${name}, owner: drill@${DRILL_DOMAIN}, svidTtl: ${ttlSeconds}s, attest: [{ nodes: [workload/hosts/drill], selectors: ['socket:name:${name}'] }] }`,
      ),
      '',
    ].join('\n'),
  };
  for (const [name, content] of Object.entries(files)) {
    const file = join(folder, name);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content);
  }
}
