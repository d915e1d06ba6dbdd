/** SVIDs and access tokens per second of CPU, the client's share included. Run from the root: see the README. */
import {
  joinedPeer,
  partner,
  post,
  registration,
  startAuthority,
  svidRequest,
} from '../test/authority.ts';
import { startAgentBank } from '../test/exchange/agent-bank.ts';
import { alice, startLoginBank } from '../test/login/login-bank.ts';

const authority = await startAuthority();
const someone = await partner('ledgerly');
await authority.identity.applyRegistrations(
  [
    registration('workload/a'),
    registration('partner/ledgerly', {
      certificates: [someone.thumbprint],
      client: { id: 'ledgerly' },
    }),
  ],
  [],
);

async function perSecond(name: string, count: number, run: () => Promise<unknown>) {
  const start = process.cpuUsage();
  for (let index = 0; index < count; index += 1) await run();
  const { user, system } = process.cpuUsage(start);
  console.log(`${name}: ${Math.round(count / ((user + system) / 1e6))} per second of CPU`);
}

/** Of replicas: one SVID alone is soon told to wait. */
const peers: Awaited<ReturnType<typeof joinedPeer>>[] = [];
for (let index = 0; index < 100; index += 1) {
  peers.push(await joinedPeer(authority.identity, 'spiffe://bank.example/workload/a'));
}
let renewals = 0;
const nextPeer = () => peers[renewals++ % peers.length];
await perSecond('SVIDs renewed (key generation and request included)', 1000, async () => {
  const granted = await authority.identity.renew({ request: await svidRequest() }, nextPeer());
  if (!granted.isGranted) throw new Error(granted.code);
});
const form = {
  grant_type: 'client_credentials',
  client_id: 'ledgerly',
  scope: 'accounts',
  resource: 'https://api.bank.example/accounts',
};
await perSecond('tokens by mTLS, each on a new connection', 200, async () => {
  const { status } = await post(authority, `${authority.issuerUrl}/token`, {
    client: someone.tls,
    form,
  });
  if (status !== 200) throw new Error(`found ${status}`);
});
await authority.close();

const bank = await startLoginBank();
const key = await bank.enrol(alice);
const teller = await bank.teller();
await perSecond('people signed in (browser, passkey and application included)', 200, async () => {
  const pending = await teller.begin();
  await teller.finish(await bank.browser().signIn(pending.url, key), pending);
});
await bank.close();

const agents = await startAgentBank();
const handed = await agents.handed();
await perSecond('tokens exchanged by an agent (private_key_jwt, DPoP, both made here)', 300, () =>
  agents.assistant.exchange(handed),
);
await agents.close();
