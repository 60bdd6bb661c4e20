// Work for node: arrays, maps, buffers, strings, JSON, zlib, crypto, worker threads, children.
'use strict';
const crypto = require('crypto'), zlib = require('zlib'), fs = require('fs'), os = require('os'), vm = require('vm');
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const { execFileSync } = require('child_process');

const digest = (data) => crypto.createHash('sha256').update(data).digest('hex').slice(0, 16);

function chance(seed) {
  let state = seed;
  return (below) => { state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff; return state % below; };
}

function arrays(seed) {
  const next = chance(seed), list = [];
  for (let i = 0; i < 300000; i++) list.push({ id: i, key: 'k' + next(100000), tags: [next(9), next(9)] });
  list.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.id - b.id));
  const groups = new Map();
  for (const item of list) { const g = groups.get(item.tags[0]) || []; g.push(item.id); groups.set(item.tags[0], g); }
  return digest(JSON.stringify([...groups].map(([k, v]) => [k, v.length, v[v.length >> 1]]).sort()) + list[777].key);
}

function buffers(seed) {
  const next = chance(seed), kept = [], hash = crypto.createHash('sha256');
  for (let i = 0; i < 20000; i++) {
    const b = Buffer.alloc(1 + next(20000), i & 255);
    kept[next(600)] = b;
    if (i % 50 === 0) hash.update(Buffer.concat(kept.filter(Boolean).slice(0, 20)));
  }
  let grown = new ArrayBuffer(8);
  for (let i = 0; i < 2000; i++) { const bigger = new Uint8Array(grown.byteLength + 1000); bigger.set(new Uint8Array(grown)); grown = bigger.buffer; }
  return hash.update(new Uint8Array(grown)).digest('hex').slice(0, 16);
}

function packing() {
  const text = JSON.stringify(Array.from({ length: 60000 }, (_, i) => ({ i, s: 'text ' + (i * 7919) % 1009 })));
  const ways = [[zlib.gzipSync, zlib.gunzipSync], [zlib.deflateSync, zlib.inflateSync],
    [(t) => zlib.brotliCompressSync(t, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 4 } }), zlib.brotliDecompressSync]];
  return digest(ways.map(([pack, unpack]) => unpack(pack(text)).toString() === text).join() + JSON.stringify(JSON.parse(text)).length);
}

function secrets() {
  const key = crypto.scryptSync('word', 'salt', 32, { N: 4096 });
  const cipher = crypto.createCipheriv('aes-256-gcm', key, Buffer.alloc(12));
  const sealed = Buffer.concat([cipher.update(Buffer.alloc(3000000, 'x')), cipher.final(), cipher.getAuthTag()]);
  const { publicKey, privateKey } = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const signed = crypto.verify('sha256', sealed, publicKey, crypto.sign('sha256', sealed, privateKey));
  return digest(sealed) + signed + crypto.pbkdf2Sync('a', 'b', 20000, 16, 'sha512').toString('hex');
}

function strings() {
  let s = '';
  for (let i = 0; i < 200000; i++) s += i.toString(36) + (i % 3 ? '-' : '\u00e9');
  return digest(s.replace(/(\d+)([a-z])/g, '$2$1').split('-').reverse().join('+').normalize('NFD')) + new TextEncoder().encode(s).length;
}

const worker = (seed) => new Promise((resolve, reject) => {
  const w = new Worker(__filename, { workerData: seed });
  w.on('message', resolve); w.on('error', reject);
});

async function pool() {
  const asked = Array.from({ length: 40 }, (_, i) => new Promise((resolve, reject) =>
    zlib.gzip(Buffer.alloc(200000, i), (e, packed) => (e ? reject(e) : zlib.gunzip(packed, (f, b) => (f ? reject(f) : resolve(b.length + b[0])))))));
  const derived = Array.from({ length: 8 }, (_, i) => new Promise((resolve, reject) =>
    crypto.pbkdf2('p' + i, 's', 5000, 32, 'sha256', (e, k) => (e ? reject(e) : resolve(k.toString('hex'))))));
  return digest(JSON.stringify(await Promise.all([...asked, ...derived])));
}

async function main() {
  for (const work of [arrays, buffers]) console.log(work.name, work(5));
  for (const work of [packing, secrets, strings]) console.log(work.name, work());
  console.log('contexts', Array.from({ length: 20 }, (_, i) => vm.runInNewContext('[...Array(1000).keys()].map((n) => n * i).at(-1)', { i })).join());
  fs.writeFileSync('out.bin', Buffer.alloc(5000000, 'hakmem'));
  console.log('file', digest(fs.readFileSync('out.bin')), (await fs.promises.readFile('out.bin')).length);
  console.log('pool', await pool());
  console.log('workers', (await Promise.all([1, 2, 3, 4].map(worker))).join());
  const stopped = new Worker('setInterval(() => Buffer.alloc(9999), 0)', { eval: true });
  await new Promise((resolve) => stopped.once('online', resolve));
  console.log('terminated', await stopped.terminate());
  console.log('child', execFileSync(process.execPath, ['-p', '[1,2,3].map((n) => n ** 9).join()']).toString().trim());
}

if (isMainThread) main();
else parentPort.postMessage(arrays(workerData) + buffers(workerData + 1));
