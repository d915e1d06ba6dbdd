import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where a gateway's time went, by the part of the way. */
export interface GatewayProfile {
  /** Share of the time that was not idle, 0 to 1, the largest first. */
  readonly areas: readonly { readonly area: string; readonly share: number }[];
  /** The functions with the most time of their own. */
  readonly functions: readonly { readonly name: string; readonly share: number }[];
}

interface Frame {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string };
  readonly children?: readonly number[];
}

interface CpuProfile {
  readonly nodes: readonly Frame[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
  readonly startTime: number;
}

/** The first pattern that a frame's file matches; frames of none count for who called them. */
const AREAS: readonly (readonly [RegExp, string])[] = [
  [/\/packages\/cedar\/|^wasm:/, '3 decide: Cedar in wasm'],
  [/\/packages\/decision\/|enforcement\/src\/decide\//, '3 decide: context, entities, facts'],
  [/enforcement\/src\/authenticate\//, '1 authenticate'],
  [/enforcement\/src\/(?:describe\/|access-request)/, '2 describe'],
  // The key that signs transaction tokens is handed in by `cli`.
  [
    /enforcement\/src\/enforce\/transaction-minter|cli\/src\/point\//,
    '4 enforce: transaction token',
  ],
  [/enforcement\/src\/enforce\//, '4 enforce: headers, observer'],
  [/enforcement\/src\/record\/|\/packages\/model\//, '5 record: events'],
  [/\/packages\/ledger\//, '5 record: log'],
  [/\/packages\/audit\//, 'collecting the log'],
  [/enforcement\/src\/channels\//, 'channels'],
  [/enforcement\/src\/carrier\//, 'carrier: ours'],
  [/\/undici\//, 'carrier: undici'],
  [/enforcement\/src\/handle/, 'handle'],
  [/^node:internal\/fs|^node:fs/, '5 record: log'],
  [/^node:/, 'carrier: node http, tls, net'],
];
const FUNCTIONS = 80;

/** Reads the profile of the gateway's main thread within a window: microseconds of the monotonic clock. */
export function readGatewayProfile(
  folder: string,
  window: { readonly start: number; readonly end: number },
): GatewayProfile {
  const profiles = readdirSync(folder)
    .filter((name) => name.endsWith('.cpuprofile'))
    .map((name): CpuProfile => JSON.parse(readFileSync(join(folder, name), 'utf8')))
    .toSorted((a, b) => busyMicroseconds(b) - busyMicroseconds(a));
  const [main] = profiles;
  if (!main) throw new Error(`no CPU profile in ${folder}`);
  return summarise(main, window);
}

function summarise(
  profile: CpuProfile,
  window: { readonly start: number; readonly end: number },
): GatewayProfile {
  const frames = new Map(profile.nodes.map((frame) => [frame.id, frame]));
  const parents = new Map<number, number>();
  for (const { id, children = [] } of profile.nodes) {
    for (const child of children) parents.set(child, id);
  }
  const areas = new Map<string, number>();
  const functions = new Map<string, number>();
  let total = 0;
  // V8 counts from the same clock as process.hrtime, so starting up can be left out.
  let at = profile.startTime;
  for (const [index, id] of profile.samples.entries()) {
    const frame = frames.get(id);
    const microseconds = profile.timeDeltas[index] ?? 0;
    at += microseconds;
    if (at < window.start || at > window.end) continue;
    if (!frame || frame.callFrame.functionName === '(idle)') continue;
    total += microseconds;
    add(areas, areaOf(frame, frames, parents), microseconds);
    const { functionName, url } = frame.callFrame;
    // Cedar's functions in wasm have no names: one line for all.
    add(
      functions,
      url.startsWith('wasm:')
        ? '(wasm)'
        : `${functionName || '(anonymous)'} ${url.replace(/^.*\/(?:packages|node_modules)\//, '')}`,
      microseconds,
    );
  }
  const ranked = (map: Map<string, number>) =>
    [...map]
      .toSorted((a, b) => b[1] - a[1])
      .map(([name, spent]) => ({ name, share: spent / total }));
  return {
    areas: ranked(areas).map(({ name: area, share }) => ({ area, share })),
    functions: ranked(functions).slice(0, FUNCTIONS),
  };
}

function areaOf(
  frame: Frame,
  frames: ReadonlyMap<number, Frame>,
  parents: ReadonlyMap<number, number>,
): string {
  const { functionName } = frame.callFrame;
  if (functionName === '(garbage collector)') return 'garbage collector';
  if (functionName === '(program)') return 'outside JavaScript (TLS, sockets, kernel)';
  let node: string | undefined;
  for (let at: Frame | undefined = frame; at; at = frames.get(parents.get(at.id) ?? -1)) {
    const { url } = at.callFrame;
    const area = AREAS.find(([pattern]) => pattern.test(url))?.[1];
    // Node's own files count for whoever of ours called them.
    if (area !== undefined && !url.startsWith('node:')) return area;
    node ??= area;
  }
  return node ?? 'other';
}

function busyMicroseconds({ nodes, samples, timeDeltas }: CpuProfile): number {
  const idle = nodes.find(({ callFrame }) => callFrame.functionName === '(idle)')?.id;
  return samples.reduce((sum, id, index) => sum + (id === idle ? 0 : (timeDeltas[index] ?? 0)), 0);
}

function add(map: Map<string, number>, key: string, value: number): void {
  map.set(key, (map.get(key) ?? 0) + value);
}
