#!/bin/bash
# OpenSSH: keys of the token in ssh-keygen, ssh, sshd and ssh-agent; the other side has only public keys.
. "$(dirname "$0")/../lib.sh"
packages openssh-client openssh-server opensc openssl
start_daemon
token ssh
p11="pkcs11-tool --module $module --token-label ssh --login --pin env:PIN"
# OpenSSH asks for the PIN by a program.
printf '#!/bin/sh\nprintf "%%s\\n" "$PIN"\n' >askpass && chmod 700 askpass
export SSH_ASKPASS=$work/askpass SSH_ASKPASS_REQUIRE=force DISPLAY=:0
printf 'Pay 100 to Alice\n' >letter

id=1
for kind in rsa:2048 rsa:3072 EC:prime256v1 EC:secp384r1 EC:secp521r1; do
    check "generate $kind" "$p11 -k --key-type $kind --id 0$id --label key$id --usage-sign"
    id=$((id + 1))
done
ssh-keygen -D "$module" >all.pub 2>keygen.log
check "ssh-keygen -D lists the public keys" "[ \$(grep -c -E '^(ssh-rsa|ecdsa-sha2)' all.pub) = 5 ]"
names=(rsa2048 rsa3072 p256 p384 p521)
awk '{ print $1, $2 > "listed" NR }' all.pub
for n in 1 2 3 4 5; do
    # By what is in it, since a list has no order.
    type=$(cut -d' ' -f1 "listed$n")
    bits=$(ssh-keygen -lf "listed$n" | cut -d' ' -f1)
    case $type in ssh-rsa) cp "listed$n" "rsa$bits.pub" ;; *) cp "listed$n" "p$bits.pub" ;; esac
done

mkdir -p /run/sshd
ssh-keygen -q -t ed25519 -N '' -f host
cat rsa2048.pub rsa3072.pub p256.pub p384.pub p521.pub >authorized
port=$((20000 + RANDOM % 20000))
cat >sshd_config <<END
ListenAddress 127.0.0.1:$port
HostKey $work/host
AuthorizedKeysFile $work/authorized
TrustedUserCAKeys $work/ca.pub
StrictModes no
PermitRootLogin yes
UsePAM no
PidFile $work/sshd.pid
END
cp p256.pub ca.pub
/usr/sbin/sshd -f "$work/sshd_config" -E "$work/sshd.log" || result fail "sshd starts" "$(cat sshd.log)"
trap 'kill "$(cat "$work/sshd.pid")" $agent 2>/dev/null; finish' EXIT
agent=
common="-F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o PreferredAuthentications=publickey -p $port"
for name in "${names[@]}"; do
    check "ssh logs in with $name" "[ \"\$(ssh $common -o IdentityAgent=none -o PKCS11Provider=$module -o IdentitiesOnly=yes -i $work/$name.pub $(id -un)@127.0.0.1 echo in 2>ssh.log)\" = in ] || { tail -n 3 ssh.log; false; }"
done
refuse "ssh is refused with a key that is not authorized" "Permission denied" "ssh-keygen -q -t ed25519 -N '' -f stranger; ssh $common -o IdentityAgent=none -o IdentitiesOnly=yes -i $work/stranger $(id -un)@127.0.0.1 echo in"

check "a certificate authority in the token" "ssh-keygen -q -t ed25519 -N '' -f user && ssh-keygen -D $module -s ca.pub -I alice -n $(id -un) -V +1h user.pub && ssh-keygen -Lf user-cert.pub | grep 'Signing CA: ECDSA'"
check "sshd takes that certificate" "[ \"\$(ssh $common -o IdentityAgent=none -o IdentitiesOnly=yes -i $work/user $(id -un)@127.0.0.1 echo in 2>ssh.log)\" = in ]"

eval "$(ssh-agent -s -P "$(dirname "$(realpath "$module")")/*,/usr/lib/*" | sed 's/^echo.*//')"
agent=$SSH_AGENT_PID
check "ssh-add -s" "ssh-add -s $(realpath "$module")"
check "ssh-add -L lists them" "[ \$(ssh-add -L | grep -c -E '^(ssh-rsa|ecdsa-sha2)') = 5 ]"
for name in "${names[@]}"; do
    check "ssh-add -T $name" "ssh-add -T $name.pub"
    check "ssh-keygen -Y sign with $name by the agent" "cp letter letter.$name && ssh-keygen -Y sign -f $name.pub -n file letter.$name && echo \"alice \$(cat $name.pub)\" >signers && ssh-keygen -Y verify -f signers -I alice -n file -s letter.$name.sig <letter"
done
check "ssh by the agent" "[ \"\$(ssh $common $(id -un)@127.0.0.1 echo in 2>ssh.log)\" = in ]"
check "ssh-add -e" "ssh-add -e $(realpath "$module")"
