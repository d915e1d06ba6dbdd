import { join } from 'node:path';
import type { WorkloadSocket } from '@countersign/example-bank';
import { workloadFromApi } from '@countersign/sdk';

/** The SVID of one of the bank's workloads, as somebody has it who runs as that workload; it is in no file. */
export async function takenOver(
  data: string,
  socket: WorkloadSocket,
): Promise<{ readonly chain: readonly Uint8Array[]; readonly keyPem: string }> {
  const workload = await workloadFromApi({
    endpoint: `unix://${join(data, 'node', `${socket}.sock`)}`,
  });
  const { chain, keyPem } = workload;
  await workload.close();
  return { chain, keyPem };
}
