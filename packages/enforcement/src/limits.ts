/**
 * Every bound of an enforcement point, and what happens there. None is configurable yet: a bound
 * that nobody has had to move is better in one place than in a file.
 */
export const LIMITS = {
  /** Bytes of a request head; above it 431 from the HTTP parser, and the connection closes. */
  headBytes: 16 * 1024,
  /** Header fields of a request; above it an enforcing surface refuses (`request-ambiguous`). */
  headerFields: 100,
  /** Characters of a request target; above it `path-ambiguous`. */
  targetCharacters: 4096,
  /** Path segments; above it `path-ambiguous`. */
  pathSegments: 64,
  /** How long a caller may take for the TLS handshake; then the connection closes. */
  handshakeTimeoutMs: 10_000,
  /** How long a caller may take to send a head; then the connection closes. */
  headersTimeoutMs: 10_000,
  /** How long a caller may take to send a whole request; then the connection closes. */
  requestTimeoutMs: 300_000,
  /** How long an idle connection is kept. */
  keepAliveTimeoutMs: 30_000,
  /** Connections of one listener; further ones are dropped at accept. */
  connections: 4096,
  /** How long the resource may take to answer with a head; then 504. */
  upstreamHeadTimeoutMs: 60_000,
  /** How long connecting to the resource may take; then 502. */
  upstreamConnectTimeoutMs: 5_000,
  /** Requests of one connection that wait for their answers; one more ends the connection. */
  pipelinedRequests: 64,
  /** Sockets to one upstream. */
  upstreamSockets: 64,
  /** Requests to one upstream that are sent or wait for a socket; above it `overloaded`. Streams count. */
  upstreamRequests: 1024,
  /** How long one end of an upgraded socket may go on when the other has ended; then both are closed. */
  halfCloseMs: 1_000,
  /** Characters of an access token, a transaction token or a DPoP proof; above it malformed. */
  tokenCharacters: 8192,
  /** Verified tokens kept; the least recently used one goes, and is verified again if it comes back. */
  verifiedTokens: 10_000,
  /** Tokens being verified at a time; above it `overloaded`. */
  verifying: 256,
  /** Agents in an `act` chain; above it `token-malformed`. */
  actors: 5,
  /** Clock skew allowed to issuers and proofs. Certificates get none. */
  clockSkewMs: 5_000,
  /** How far the authority's clock may be ahead of ours; beyond it `facts-stale`. */
  factsAheadMs: 60_000,
  /** How old a DPoP proof may be. */
  proofAgeMs: 60_000,
  /** How long ago a person's approval may have been asked for: they read, and reach for a key. */
  approvalAgeMs: 300_000,
  /** DPoP proofs remembered, and apart from them signed requests and approvals; when full, further proofs are refused (`authentication-throttled`). */
  proofs: 100_000,
  /** DPoP proofs, or signed requests, remembered of one key, so that one client cannot fill the memory for all. */
  proofsOfOneKey: 10_000,
  /** Bytes of a certificate that goes into the record with a signature; a longer one signs nothing here. */
  certificateBytes: 6 * 1024,
  /** Bytes of signed content that is held until it is compared with its digest; above it 413. */
  contentBytes: 1024 * 1024,
  /** Bytes of signed content held at a time by the whole point; above it `overloaded`. */
  contentsBytes: 64 * 1024 * 1024,
  /** Bytes of signed content held at a time of one key, so that one client cannot take the memory from all; above it `overloaded`. */
  contentsOfOneKeyBytes: 8 * 1024 * 1024,
  /** How long a caller may take to send signed content that is waited for; then 408, and the connection closes. */
  contentTimeoutMs: 10_000,
  /** Life of a transaction token. */
  transactionTokenMs: 60_000,
  /** Failed verifications of one peer within `failureWindowMs`; then `authentication-throttled`. */
  failures: 20,
  /** How long failures of one peer are counted together. */
  failureWindowMs: 10_000,
  /** Peers whose failures are counted; the one counted longest ago goes. */
  failingPeers: 10_000,
  /** Failed handshakes of one address recorded one by one per minute; the rest as one counted event. */
  handshakeEvents: 20,
  /** Addresses whose failed handshakes are counted apart; all further ones share one count. */
  handshakeAddresses: 1_000,
  /** Sessions of browsers at one listener; the one asked least recently goes, and its person signs in again. */
  webSessions: 10_000,
  /** Sessions of one person at one listener; then the one asked least recently of that person goes. */
  webSessionsOfOnePerson: 20,
  /** How long a person may take to sign in. */
  signInMs: 600_000,
  /** Sign-ins that one browser has under way; then the oldest is forgotten. */
  signInsOfOneBrowser: 4,
  /** Sign-ins begun by one address within `failureWindowMs`; then 429. */
  signInsOfOneAddress: 100,
  /** States of sign-ins that came back, remembered so that each does once; then the oldest is forgotten. */
  usedSignIns: 20_000,
  /** Sessions that were signed out, remembered while a sign-in may be under way that began before; then the oldest is forgotten. */
  signedOutSessions: 10_000,
  /** Requests to the issuer at a time, of one listener; above it as if it did not answer. */
  issuerRequests: 128,
  /** How often sessions of browsers are looked at: idle ones end, those with open streams are renewed. */
  webSweepMs: 2_000,
  /** How often expiry and staleness of what is open are looked at. */
  sweepMs: 250,
  /** What a caller is told to wait when we cannot decide or record. */
  retryAfterSeconds: 2,
} as const;
