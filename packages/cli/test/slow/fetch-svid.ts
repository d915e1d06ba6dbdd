// Fetches this process's SVIDs from SPIFFE_ENDPOINT_SOCKET and prints their SPIFFE IDs, or the error's code.
import { createWorkloadClient, SpiffeError } from '@countersign/spiffe';

const endpoint = process.env['SPIFFE_ENDPOINT_SOCKET'] ?? '';
const client = createWorkloadClient({ endpoint, random: Math.random });
try {
  const { svids } = await client.fetchX509Context();
  process.stdout.write(svids.map(({ spiffeId }) => spiffeId.uri).join(' '));
} catch (error) {
  if (!(error instanceof SpiffeError)) throw error;
  process.stdout.write(error.code);
} finally {
  client.close();
}
