import java.security.*;
import java.security.cert.Certificate;
import java.security.cert.X509Certificate;
import java.security.interfaces.*;
import java.security.spec.*;
import java.util.*;
import javax.crypto.*;
import javax.crypto.spec.*;
import javax.net.ssl.*;

/**
 * Everything that SunPKCS11 offers on a token, checked against Java's own providers (SunRsaSign, SunEC, SunJCE, SUN).
 * Arguments: the provider's configuration file, the PIN. Prints "ok|fail|skip TAB name TAB detail" for each check.
 */
public class Interop {
    static final byte[] DATA = new byte[1000];
    static Provider token;
    static KeyStore store;
    static char[] pin;
    static SecretKey anchor;

    interface Check {
        void run() throws Exception;
    }

    static void check(String name, Check check) {
        String line;
        try {
            check.run();
            line = "ok\t" + name + "\t";
        } catch (Throwable thrown) {
            StringBuilder detail = new StringBuilder();
            for (Throwable t = thrown; t != null; t = t.getCause()) detail.append(t).append("; ");
            StackTraceElement[] trace = thrown.getStackTrace();
            for (StackTraceElement element : trace) {
                if (element.getClassName().startsWith("Interop")) {
                    detail.append(element);
                    break;
                }
            }
            line = "fail\t" + name + "\t" + detail.toString().replaceAll("\\s+", " ");
        }
        System.out.println(line);
    }

    static void skip(String name, String why) {
        System.out.println("skip\t" + name + "\t" + why);
    }

    static void expect(boolean condition, String otherwise) {
        if (!condition) throw new IllegalStateException(otherwise);
    }

    static boolean offers(String type, String algorithm) {
        return token.getService(type, algorithm) != null;
    }

    static Set<String> offered(String type) {
        Set<String> names = new TreeSet<>();
        for (Provider.Service service : token.getServices()) {
            if (service.getType().equals(type)) names.add(service.getAlgorithm());
        }
        return names;
    }

    /** A provider of Java's own that has this algorithm. */
    static Provider own(String type, String algorithm) {
        for (Provider provider : Security.getProviders()) {
            if (provider != token && !provider.getName().startsWith("SunPKCS11") && provider.getService(type, algorithm) != null) {
                return provider;
            }
        }
        return null;
    }

    public static void main(String[] arguments) throws Exception {
        new Random(7).nextBytes(DATA);
        pin = arguments[1].toCharArray();
        token = Security.getProvider("SunPKCS11").configure(arguments[0]);
        Security.addProvider(token);
        store = KeyStore.getInstance("PKCS11", token);
        store.load(null, pin);
        // SunPKCS11 closes idle sessions, and closing the last one logs out (PKCS#11 3.2, 5.6.2): a session key keeps one open.
        anchor = KeyGenerator.getInstance("AES", token).generateKey();
        digests();
        macs();
        random();
        Map<String, KeyPair> pairs = pairs();
        signatures(pairs);
        asymmetricCiphers(pairs);
        agreements(pairs);
        symmetric();
        keyStore();
        tls("rsa");
        tls("ec");
        for (String type : new String[] {"KeyFactory", "SecretKeyFactory", "AlgorithmParameters"}) {
            for (String algorithm : offered(type)) {
                check(type + " " + algorithm, () -> expect(token.getService(type, algorithm).newInstance(null) != null, "none"));
            }
        }
    }

    static void digests() {
        for (String algorithm : offered("MessageDigest")) {
            check("MessageDigest " + algorithm, () -> {
                byte[] expected = MessageDigest.getInstance(algorithm, own("MessageDigest", algorithm)).digest(DATA);
                MessageDigest digest = MessageDigest.getInstance(algorithm, token);
                expect(Arrays.equals(digest.digest(DATA), expected), "one-shot differs");
                for (byte b : DATA) digest.update(b);
                expect(Arrays.equals(digest.digest(), expected), "byte by byte differs");
            });
            check("MessageDigest " + algorithm + " clone", () -> {
                MessageDigest digest = MessageDigest.getInstance(algorithm, token);
                digest.update(DATA, 0, 300);
                MessageDigest clone = (MessageDigest) digest.clone();
                digest.update(DATA, 300, 700);
                clone.update(DATA, 300, 400);
                MessageDigest own = MessageDigest.getInstance(algorithm, own("MessageDigest", algorithm));
                expect(Arrays.equals(digest.digest(), own.digest(DATA)), "the original differs");
                expect(Arrays.equals(clone.digest(), own.digest(Arrays.copyOf(DATA, 700))), "the clone differs");
            });
        }
    }

    static void macs() {
        for (String algorithm : offered("Mac")) {
            if (own("Mac", algorithm) == null) {
                skip("Mac " + algorithm, "Java has none to compare with");
                continue;
            }
            check("Mac " + algorithm, () -> {
                SecretKey key = new SecretKeySpec(Arrays.copyOf(DATA, 32), algorithm);
                Mac own = Mac.getInstance(algorithm, own("Mac", algorithm));
                own.init(key);
                Mac mac = Mac.getInstance(algorithm, token);
                mac.init(key);
                byte[] expected = own.doFinal(DATA);
                expect(Arrays.equals(mac.doFinal(DATA), expected), "one-shot differs");
                mac.update(DATA, 0, 10);
                mac.update(DATA, 10, 990);
                expect(Arrays.equals(mac.doFinal(), expected), "two parts differ");
            });
        }
    }

    static void random() {
        for (String algorithm : offered("SecureRandom")) {
            check("SecureRandom " + algorithm, () -> {
                SecureRandom random = SecureRandom.getInstance(algorithm, token);
                byte[] one = new byte[64], two = new byte[64];
                random.nextBytes(one);
                random.setSeed(DATA);
                random.nextBytes(two);
                expect(!Arrays.equals(one, two) && !Arrays.equals(one, new byte[64]), "not random");
            });
        }
    }

    static KeyPair pair(String algorithm, AlgorithmParameterSpec spec) throws Exception {
        KeyPairGenerator generator = KeyPairGenerator.getInstance(algorithm, token);
        generator.initialize(spec);
        return generator.generateKeyPair();
    }

    static Map<String, KeyPair> pairs() {
        Map<String, KeyPair> pairs = new TreeMap<>();
        for (int bits : new int[] {1024, 2048, 3072}) {
            check("KeyPairGenerator RSA " + bits, () ->
                pairs.put("RSA" + bits, pair("RSA", new RSAKeyGenParameterSpec(bits, RSAKeyGenParameterSpec.F4))));
        }
        for (String curve : new String[] {"secp256r1", "secp384r1", "secp521r1"}) {
            check("KeyPairGenerator EC " + curve, () -> pairs.put("EC" + curve, pair("EC", new ECGenParameterSpec(curve))));
        }
        for (String algorithm : offered("KeyPairGenerator")) {
            switch (algorithm) {
                case "RSA", "EC" -> { }
                case "DSA", "DH" -> check("KeyPairGenerator " + algorithm, () -> {
                    KeyPairGenerator generator = KeyPairGenerator.getInstance(algorithm, token);
                    generator.initialize(2048);
                    pairs.put(algorithm, generator.generateKeyPair());
                });
                default -> skip("KeyPairGenerator " + algorithm, "not known to this program");
            }
        }
        return pairs;
    }

    /** A software copy of a public key, which Java's own providers take. */
    static PublicKey copy(PublicKey key) throws Exception {
        return KeyFactory.getInstance(key.getAlgorithm(), own("KeyFactory", key.getAlgorithm()))
            .generatePublic(new X509EncodedKeySpec(key.getEncoded()));
    }

    static PSSParameterSpec pss(String hash) throws Exception {
        return new PSSParameterSpec(hash, "MGF1", new MGF1ParameterSpec(hash), MessageDigest.getInstance(hash).getDigestLength(), 1);
    }

    static void signatures(Map<String, KeyPair> pairs) {
        for (String algorithm : offered("Signature")) {
            if (algorithm.startsWith("SHA3-") && algorithm.endsWith("RSASSA-PSS")) {
                skip("Signature " + algorithm, "SunPKCS11 of Java 17 cannot hand over its parameter");
                continue;
            }
            String kind = algorithm.contains("RSA") ? "RSA" : algorithm.contains("ECDSA") ? "EC" : "DSA";
            for (Map.Entry<String, KeyPair> entry : pairs.entrySet()) {
                String name = entry.getKey();
                if (!name.startsWith(kind)) continue;
                // RFC 8017, 9.1.1: SHA-512 with a salt as long does not fit 1024 bits.
                if (name.equals("RSA1024") && algorithm.contains("512") && algorithm.endsWith("PSS")) continue;
                if (algorithm.equals("RSASSA-PSS")) {
                    for (String hash : new String[] {"SHA-1", "SHA-224", "SHA-256", "SHA-384", "SHA-512"}) {
                        if (name.equals("RSA1024") && hash.equals("SHA-512")) continue;
                        check("Signature " + algorithm + " " + hash + " " + name, () -> sign(algorithm, entry.getValue(), pss(hash)));
                    }
                    continue;
                }
                check("Signature " + algorithm + " " + name, () -> sign(algorithm, entry.getValue(), null));
            }
            if (pairs.keySet().stream().noneMatch(name -> name.startsWith(kind))) skip("Signature " + algorithm, "no key pair");
        }
    }

    static void sign(String algorithm, KeyPair pair, AlgorithmParameterSpec spec) throws Exception {
        // Raw signatures take a digest.
        byte[] data = algorithm.startsWith("NONE") ? Arrays.copyOf(DATA, 20) : DATA;
        if (algorithm.startsWith("RawDSA")) data = Arrays.copyOf(DATA, 20);
        Signature signer = Signature.getInstance(algorithm, token);
        if (spec != null) signer.setParameter(spec);
        signer.initSign(pair.getPrivate());
        signer.update(data, 0, 10);
        signer.update(data, 10, data.length - 10);
        byte[] signature = signer.sign();
        Signature verifier = Signature.getInstance(algorithm, token);
        if (spec != null) verifier.setParameter(spec);
        verifier.initVerify(pair.getPublic());
        verifier.update(data);
        expect(verifier.verify(signature), "the token does not verify its signature");
        verifier.initVerify(pair.getPublic());
        verifier.update(data, 1, data.length - 1);
        verifier.update(data[0]);
        expect(!verifier.verify(signature), "the token verifies other data");
        // Java's own names of the salted ones stand in one algorithm with parameters.
        String plain = algorithm;
        AlgorithmParameterSpec parameters = spec;
        if (algorithm.endsWith("withRSASSA-PSS")) {
            plain = "RSASSA-PSS";
            String hash = algorithm.replace("withRSASSA-PSS", "").replaceFirst("^SHA(\\d)", "SHA-$1");
            if (hash.startsWith("SHA-3-")) hash = hash.replaceFirst("SHA-3-", "SHA3-");
            parameters = pss(hash);
        }
        // Raw and SHA-1 are left out of SunPKCS11's names of these.
        if (plain.equals("DSAinP1363Format")) plain = "SHA1withDSAinP1363Format";
        if (plain.equals("RawDSAinP1363Format")) plain = "NONEwithDSAinP1363Format";
        Provider own = own("Signature", plain);
        expect(own != null, "Java has no " + plain);
        verifier = Signature.getInstance(plain, own);
        if (parameters != null) verifier.setParameter(parameters);
        verifier.initVerify(copy(pair.getPublic()));
        verifier.update(data);
        expect(verifier.verify(signature), "Java does not verify the token's signature");
    }

    static void asymmetricCiphers(Map<String, KeyPair> pairs) {
        for (String algorithm : offered("Cipher")) {
            if (!algorithm.startsWith("RSA")) continue;
            String full = algorithm.equals("RSA") ? "RSA/ECB/PKCS1Padding" : algorithm;
            for (String name : new String[] {"RSA1024", "RSA2048"}) {
                check("Cipher " + algorithm + " " + name, () -> {
                    KeyPair pair = pairs.get(name);
                    int size = ((RSAPublicKey) pair.getPublic()).getModulus().bitLength() / 8;
                    byte[] data = Arrays.copyOf(DATA, full.contains("NoPadding") ? size : 50);
                    if (full.contains("NoPadding")) data[0] = 0;
                    Cipher encrypt = Cipher.getInstance(full, own("Cipher", "RSA"));
                    encrypt.init(Cipher.ENCRYPT_MODE, copy(pair.getPublic()));
                    Cipher decrypt = Cipher.getInstance(full, token);
                    decrypt.init(Cipher.DECRYPT_MODE, pair.getPrivate());
                    expect(Arrays.equals(decrypt.doFinal(encrypt.doFinal(data)), data), "decrypts something else");
                    Cipher inside = Cipher.getInstance(full, token);
                    inside.init(Cipher.ENCRYPT_MODE, pair.getPublic());
                    decrypt.init(Cipher.DECRYPT_MODE, pair.getPrivate());
                    expect(Arrays.equals(decrypt.doFinal(inside.doFinal(data)), data), "token to token differs");
                });
            }
            check("Cipher " + algorithm + " wrap and unwrap", () -> {
                if (full.contains("NoPadding")) return;
                KeyPair pair = pairs.get("RSA2048");
                SecretKey key = new SecretKeySpec(Arrays.copyOf(DATA, 16), "AES");
                // Java's own: SunPKCS11 generates public keys without CKA_WRAP, so this token's may not wrap.
                Cipher wrap = Cipher.getInstance(full, own("Cipher", "RSA"));
                wrap.init(Cipher.WRAP_MODE, copy(pair.getPublic()));
                Cipher unwrap = Cipher.getInstance(full, token);
                unwrap.init(Cipher.UNWRAP_MODE, pair.getPrivate());
                Key back = unwrap.unwrap(wrap.wrap(key), "AES", Cipher.SECRET_KEY);
                crypt("AES/ECB/NoPadding", back, key, null);
            });
        }
    }

    /** Encrypts with `inside` on the token, decrypts with `outside` in Java, and the other way round. */
    static void crypt(String transformation, Key inside, SecretKey outside, AlgorithmParameterSpec spec) throws Exception {
        byte[] data = Arrays.copyOf(DATA, transformation.contains("CTR") || transformation.contains("Padding") && !transformation.contains("NoPadding") || transformation.contains("GCM") || transformation.contains("Poly") ? 333 : 320);
        String algorithm = transformation.split("/")[0];
        Cipher token = Cipher.getInstance(transformation, Interop.token);
        Cipher own = Cipher.getInstance(transformation, own("Cipher", algorithm.contains("_") ? transformation : algorithm));
        token.init(Cipher.ENCRYPT_MODE, inside, spec);
        byte[] aad = {1, 2, 3};
        boolean authenticated = transformation.contains("GCM") || transformation.contains("Poly");
        if (authenticated) token.updateAAD(aad);
        // SunPKCS11 of Java 17.0.15 forgets the last part of a GCM encryption in two parts, before it calls the token.
        int cut = authenticated ? 0 : 100;
        byte[] first = cut == 0 ? null : token.update(data, 0, cut);
        byte[] last = token.doFinal(data, cut, data.length - cut);
        byte[] encrypted = new byte[(first == null ? 0 : first.length) + last.length];
        if (first != null) System.arraycopy(first, 0, encrypted, 0, first.length);
        System.arraycopy(last, 0, encrypted, encrypted.length - last.length, last.length);
        own.init(Cipher.DECRYPT_MODE, outside, spec);
        if (authenticated) own.updateAAD(aad);
        expect(Arrays.equals(own.doFinal(encrypted), data), "Java decrypts something else");
        token.init(Cipher.DECRYPT_MODE, inside, spec);
        if (authenticated) token.updateAAD(aad);
        expect(Arrays.equals(token.doFinal(encrypted), data), "the token decrypts something else");
    }

    static void symmetric() {
        for (String algorithm : offered("KeyGenerator")) {
            check("KeyGenerator " + algorithm, () -> {
                SecretKey key = KeyGenerator.getInstance(algorithm, token).generateKey();
                expect(key != null, "no key");
            });
        }
        for (String transformation : offered("Cipher")) {
            if (transformation.startsWith("RSA")) continue;
            String[] parts = transformation.split("/");
            String algorithm = parts[0].split("_")[0];
            int[] sizes = switch (algorithm) {
                case "AES" -> parts[0].contains("_") ? new int[] {Integer.parseInt(parts[0].split("_")[1]) / 8} : new int[] {16, 24, 32};
                case "DESede" -> new int[] {24};
                case "DES" -> new int[] {8};
                case "Blowfish", "ARCFOUR" -> new int[] {16};
                case "ChaCha20-Poly1305" -> new int[] {32};
                default -> new int[] {};
            };
            if (sizes.length == 0) skip("Cipher " + transformation, "not known to this program");
            for (int size : sizes) {
                check("Cipher " + transformation + " " + size * 8, () -> {
                    SecretKey key = new SecretKeySpec(Arrays.copyOf(DATA, size), algorithm.startsWith("ChaCha") ? "ChaCha20" : algorithm);
                    int block = algorithm.equals("AES") ? 16 : 8;
                    AlgorithmParameterSpec spec = transformation.contains("GCM") ? new GCMParameterSpec(128, DATA, 0, 12)
                        : algorithm.startsWith("ChaCha") ? new IvParameterSpec(DATA, 0, 12)
                        : transformation.contains("ECB") || parts.length == 1 ? null : new IvParameterSpec(DATA, 0, block);
                    crypt(transformation, key, key, spec);
                });
            }
        }
    }

    static void agreements(Map<String, KeyPair> pairs) {
        for (String algorithm : new String[] {"ECDH", "DH"}) {
            if (!offers("KeyAgreement", algorithm)) {
                skip("KeyAgreement " + algorithm, "the provider does not offer it on this token");
            }
        }
        for (String algorithm : offered("KeyAgreement")) {
            for (Map.Entry<String, KeyPair> entry : pairs.entrySet()) {
                if (!entry.getKey().startsWith(algorithm.equals("ECDH") ? "EC" : "DH")) continue;
                check("KeyAgreement " + algorithm + " " + entry.getKey(), () -> {
                    String kind = algorithm.equals("ECDH") ? "EC" : "DH";
                    PublicKey inside = copy(entry.getValue().getPublic());
                    KeyPairGenerator generator = KeyPairGenerator.getInstance(kind, own("KeyPairGenerator", kind));
                    generator.initialize(kind.equals("EC") ? ((ECPublicKey) inside).getParams() : ((javax.crypto.interfaces.DHPublicKey) inside).getParams());
                    KeyPair outside = generator.generateKeyPair();
                    KeyAgreement token = KeyAgreement.getInstance(algorithm, Interop.token);
                    token.init(entry.getValue().getPrivate());
                    token.doPhase(outside.getPublic(), true);
                    KeyAgreement own = KeyAgreement.getInstance(algorithm, own("KeyAgreement", algorithm));
                    own.init(outside.getPrivate());
                    own.doPhase(inside, true);
                    expect(Arrays.equals(token.generateSecret(), own.generateSecret()), "the secrets differ");
                });
            }
        }
    }

    /** Entries that keytool made, and secret keys and certificates of our own. */
    static void keyStore() {
        for (String alias : new String[] {"rsa", "ec"}) {
            check("KeyStore entry " + alias, () -> {
                X509Certificate certificate = (X509Certificate) store.getCertificate(alias);
                certificate.verify(certificate.getPublicKey(), own("Signature", certificate.getSigAlgName()));
                PrivateKey key = (PrivateKey) store.getKey(alias, null);
                String algorithm = alias.equals("rsa") ? "SHA256withRSA" : "SHA256withECDSA";
                sign(algorithm, new KeyPair(certificate.getPublicKey(), key), null);
                expect(store.isKeyEntry(alias) && alias.equals(store.getCertificateAlias(certificate)), "not a key entry");
            });
        }
        check("KeyStore secret key", () -> {
            SecretKey key = new SecretKeySpec(Arrays.copyOf(DATA, 32), "AES");
            store.setKeyEntry("secret", key, null, null);
            crypt("AES/CBC/NoPadding", store.getKey("secret", null), key, new IvParameterSpec(DATA, 0, 16));
            store.deleteEntry("secret");
            expect(!store.containsAlias("secret"), "still there");
        });
        check("KeyStore persists after reload", () -> {
            KeyStore again = KeyStore.getInstance("PKCS11", token);
            again.load(null, pin);
            expect(again.containsAlias("rsa") && again.containsAlias("ec"), "aliases are " + Collections.list(again.aliases()));
        });
    }

    static void tls(String alias) {
        for (String version : new String[] {"TLSv1.2", "TLSv1.3"}) {
            check("TLS server " + version + " " + alias, () -> {
                X509Certificate certificate = (X509Certificate) store.getCertificate(alias);
                X509KeyManager manager = new Manager(alias, (PrivateKey) store.getKey(alias, null), certificate);
                SSLContext server = SSLContext.getInstance("TLS");
                server.init(new KeyManager[] {manager}, null, null);
                KeyStore trust = KeyStore.getInstance("PKCS12");
                trust.load(null, null);
                trust.setCertificateEntry("ca", certificate);
                TrustManagerFactory factory = TrustManagerFactory.getInstance("PKIX");
                factory.init(trust);
                SSLContext client = SSLContext.getInstance("TLS");
                client.init(null, factory.getTrustManagers(), null);
                SSLServerSocket listener = (SSLServerSocket) server.getServerSocketFactory().createServerSocket(0, 1, java.net.InetAddress.getLoopbackAddress());
                listener.setEnabledProtocols(new String[] {version});
                Exception[] failure = new Exception[1];
                Thread thread = new Thread(() -> {
                    try (SSLSocket socket = (SSLSocket) listener.accept()) {
                        socket.getOutputStream().write(socket.getInputStream().read() + 1);
                        socket.getOutputStream().flush();
                    } catch (Exception exception) {
                        failure[0] = exception;
                    }
                });
                thread.start();
                try (SSLSocket socket = (SSLSocket) client.getSocketFactory().createSocket(listener.getInetAddress(), listener.getLocalPort())) {
                    socket.setSoTimeout(20000);
                    socket.getOutputStream().write(41);
                    socket.getOutputStream().flush();
                    expect(socket.getInputStream().read() == 42, "no answer");
                    expect(socket.getSession().getProtocol().equals(version), "protocol " + socket.getSession().getProtocol());
                } catch (Exception exception) {
                    if (failure[0] != null) exception.addSuppressed(failure[0]);
                    throw new IllegalStateException("server: " + failure[0], exception);
                }
                thread.join(20000);
                listener.close();
                if (failure[0] != null) throw failure[0];
            });
        }
    }

    /** Serves one alias. */
    static class Manager extends X509ExtendedKeyManager {
        final String alias;
        final PrivateKey key;
        final X509Certificate certificate;

        Manager(String alias, PrivateKey key, X509Certificate certificate) {
            this.alias = alias;
            this.key = key;
            this.certificate = certificate;
        }

        boolean fits(String type) {
            return type.startsWith("RSA") == key.getAlgorithm().equals("RSA");
        }

        public String[] getClientAliases(String type, Principal[] issuers) {
            return null;
        }

        public String chooseClientAlias(String[] types, Principal[] issuers, java.net.Socket socket) {
            return null;
        }

        public String[] getServerAliases(String type, Principal[] issuers) {
            return fits(type) ? new String[] {alias} : null;
        }

        public String chooseServerAlias(String type, Principal[] issuers, java.net.Socket socket) {
            return fits(type) ? alias : null;
        }

        public X509Certificate[] getCertificateChain(String alias) {
            return new X509Certificate[] {certificate};
        }

        public PrivateKey getPrivateKey(String alias) {
            return key;
        }
    }
}
