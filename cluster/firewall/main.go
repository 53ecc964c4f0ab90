// The firewall of kube-router alone: NetworkPolicies as packet rules, without routes, Services and load balancers.
//
// The whole of kube-router links the clients of a cloud and a router, which take minutes to compile.
package main

import (
	"context"
	"flag"
	"log"
	"os/signal"
	"sync"
	"syscall"

	"github.com/cloudnativelabs/kube-router/v2/pkg/controllers/netpol"
	"github.com/cloudnativelabs/kube-router/v2/pkg/healthcheck"
	"github.com/cloudnativelabs/kube-router/v2/pkg/options"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

func main() {
	config := options.NewKubeRouterConfig()
	config.EnableIPv4 = true
	kubeconfig := flag.String("kubeconfig", "", "how to reach the API server")
	services := flag.String("services", "", "network of the Services")
	flag.StringVar(&config.HostnameOverride, "node", "", "name of the node whose pods are protected")
	flag.Parse()
	config.ClusterIPCIDRs = []string{*services}
	stopped, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := protect(stopped, *kubeconfig, config); err != nil {
		log.Fatal(err)
	}
}

func protect(stopped context.Context, kubeconfig string, config *options.KubeRouterConfig) error {
	connection, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(connection)
	if err != nil {
		return err
	}
	known := informers.NewSharedInformerFactory(client, 0)
	pods := known.Core().V1().Pods().Informer()
	namespaces := known.Core().V1().Namespaces().Informer()
	policies := known.Networking().V1().NetworkPolicies().Informer()
	known.Start(stopped.Done())
	known.WaitForCacheSync(stopped.Done())

	var sets, running = sync.Mutex{}, sync.WaitGroup{}
	rules, addresses, err := netpol.NewIPTablesHandlers(config)
	if err != nil {
		return err
	}
	firewall, err := netpol.NewNetworkPolicyController(
		client, config, pods, policies, namespaces, &sets, rules, addresses)
	if err != nil {
		return err
	}
	follow := map[cache.SharedIndexInformer]cache.ResourceEventHandler{
		pods:       firewall.PodEventHandler,
		namespaces: firewall.NamespaceEventHandler,
		policies:   firewall.NetworkPolicyEventHandler,
	}
	for informer, handler := range follow {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return err
		}
	}
	beats := make(chan *healthcheck.ControllerHeartbeat, 10)
	go func() {
		for range beats {
		}
	}()
	running.Add(1)
	go firewall.Run(beats, stopped.Done(), &running)
	running.Wait()
	return nil
}
