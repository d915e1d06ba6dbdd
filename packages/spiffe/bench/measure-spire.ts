import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { createWorkloadClient } from '@countersign/spiffe';
import type { startSpire } from '../test/slow/spire.ts';
import { cpuSecondsOf, say } from './figures.ts';

/**
 * SPIRE's whole way to SVIDs with keys: the agent hears of entries, makes a key and a request for each, and the server
 * signs them in batches. The CPU time of both, from the moment that the agent may hear to the last SVID.
 */
export async function issueByAgent(
  spire: Awaited<ReturnType<typeof startSpire>>,
  count: number,
): Promise<void> {
  const file = join(spire.folder, 'entries.json');
  const entries = Array.from({ length: count }, (_, at) => ({
    spiffe_id: `spiffe://spire.example/workload/many/${at}`,
    parent_id: 'spiffe://spire.example/agent',
    selectors: [{ type: 'unix', value: `uid:${process.getuid?.() ?? 0}` }],
    x509_svid_ttl: 3600,
  }));
  writeFileSync(file, JSON.stringify({ entries }));
  const client = createWorkloadClient({ endpoint: spire.endpoint, random: Math.random });
  const held = (await client.fetchX509Context()).svids.length;
  // So that it begins when all are there: what their registration costs is not what is asked.
  process.kill(spire.agentPid, 'SIGSTOP');
  await spire.server('entry', 'create', '-data', file);
  const seconds = (): number => cpuSecondsOf(spire.serverPid) + cpuSecondsOf(spire.agentPid);
  const before = seconds();
  process.kill(spire.agentPid, 'SIGCONT');
  const done = new AbortController();
  await client.watchX509Context({
    signal: done.signal,
    onUpdate: ({ svids }) => {
      if (svids.length >= held + count) done.abort();
    },
  });
  const used = seconds() - before;
  client.close();
  say(
    'SPIRE agent and server: make a key, request, issue',
    String(Math.round(count / used)),
    `per CPU-second of both (${count} entries at once)`,
  );
}
