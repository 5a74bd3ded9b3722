package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/skein-cx/skein/pkg/event"
	customerv1 "github.com/skein-cx/skein/proto/skein/customer/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

func customerCommand() *cobra.Command {
	to := &client{}
	var region, asOf string
	var history, asJSON bool
	cmd := &cobra.Command{
		Use:   "customer ADDRESS|ID",
		Short: "Tell who is behind an address: every address of theirs, and what other systems know",
		Long: `Tell who is behind an address, identifier or id: every address that is theirs and since when, what other systems know of them, what they
have there, and what they allow. Addresses are written as for skein timeline.`,
		Example: "  skein customer '+49 30 901820'\n  skein customer anna@example.com --history\n  skein customer id:crm:4711 --as-of 2026-03-01",
		Args:    cobra.ExactArgs(1),
		RunE: call(to, customerv1.NewCustomerServiceClient, func(cmd *cobra.Command, service customerv1.CustomerServiceClient, args []string) error {
			at, err := timeOf("as-of", asOf)
			if err != nil {
				return err
			}
			var past *customerv1.AsOf
			if at != nil {
				past = &customerv1.AsOf{Time: at}
			}
			c, err := findCustomer(cmd, service, args[0], region, past)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if asJSON {
				return writeJSON(out, c)
			}
			showCustomer(out, c)
			if !history {
				return nil
			}
			return showHistory(cmd, out, service, c.GetId())
		}),
	}
	f := cmd.Flags()
	to.flags(f)
	f.BoolVar(&history, "history", false, "show what was changed about them, newest first")
	f.BoolVar(&asJSON, "json", false, "print a JSON object")
	f.StringVar(&asOf, "as-of", "", "what was known at a past moment")
	f.StringVar(&region, "region", "", "country of a telephone number without country code, such as DE")
	return cmd
}

func findCustomer(cmd *cobra.Command, service customerv1.CustomerServiceClient, who, region string, asOf *customerv1.AsOf) (*customerv1.Customer, error) {
	if _, err := event.ParseID(who); err == nil {
		resp, err := service.Get(cmd.Context(), &customerv1.GetRequest{CustomerId: who, AsOf: asOf})
		return resp.GetCustomer(), err
	}
	a, err := addressOf(who, region)
	if err != nil {
		return nil, err
	}
	resp, err := service.Resolve(cmd.Context(), &customerv1.ResolveRequest{Addresses: []*eventv1.Address{a}, AsOf: asOf})
	if err != nil {
		return nil, err
	}
	return resp.GetCustomers()[0], nil
}

func showCustomer(out io.Writer, c *customerv1.Customer) {
	fmt.Fprintf(out, "customer %s\n", c.GetId())
	if c.GetErased() {
		fmt.Fprintln(out, "  erased")
	}
	for _, e := range c.GetEndpoints() {
		fmt.Fprintf(out, "  %-10s %s", kindName(e.GetKind()), shownAddress(e))
		if e.GetDisplayName() != "" {
			fmt.Fprintf(out, "  %s", e.GetDisplayName())
		}
		for _, v := range e.GetValidity() {
			if v.GetFrom() != nil {
				fmt.Fprintf(out, "  from %s", v.GetFrom().AsTime().Format(time.DateTime))
			}
			if v.GetUntil() != nil {
				fmt.Fprintf(out, "  until %s", v.GetUntil().AsTime().Format(time.DateTime))
			}
		}
		if e.GetLastSeen() != nil {
			fmt.Fprintf(out, "  seen last %s", e.GetLastSeen().AsTime().Format(time.DateTime))
		}
		fmt.Fprintln(out)
	}
	for _, a := range c.GetAttributes() {
		fmt.Fprintf(out, "  %s: %s  by %s, %s\n", a.GetName(), a.GetValue(), a.GetSource(), a.GetAt().AsTime().Format(time.DateOnly))
	}
	for _, fact := range c.GetFacts() {
		fmt.Fprintf(out, "  %s %s: %s", fact.GetKind(), fact.GetId(), fact.GetTitle())
		if fact.GetAmount() != 0 {
			fmt.Fprintf(out, ", %.2f %s", fact.GetAmount(), fact.GetCurrency())
		}
		fmt.Fprintf(out, ", %s  by %s\n", fact.GetStatus(), fact.GetSource())
	}
	for _, consent := range c.GetConsents() {
		word := "refuses"
		if consent.GetGranted() {
			word = "allows"
		}
		fmt.Fprintf(out, "  %s %s since %s\n", word, consent.GetPurpose(), consent.GetAt().AsTime().Format(time.DateOnly))
	}
}

func showHistory(cmd *cobra.Command, out io.Writer, service customerv1.CustomerServiceClient, id string) error {
	req := &customerv1.HistoryRequest{CustomerId: id, PageSize: 500}
	for {
		page, err := service.History(cmd.Context(), req)
		if err != nil {
			return err
		}
		for _, h := range page.GetEntries() {
			fmt.Fprintf(out, "%s  %s  %s", h.GetAt().AsTime().Format(time.DateTime), h.GetEventId(), strings.ToLower(strings.TrimPrefix(h.GetKind().String(), "CHANGE_KIND_")))
			for _, part := range []string{h.GetRule(), h.GetReason(), h.GetDetail()} {
				if part != "" {
					fmt.Fprintf(out, "  %s", part)
				}
			}
			if h.GetUndoneBy() != "" {
				fmt.Fprint(out, "  undone")
			}
			fmt.Fprintln(out)
		}
		if req.PageToken = page.GetNextPageToken(); req.GetPageToken() == "" {
			return nil
		}
	}
}

func kindName(k eventv1.EndpointKind) string {
	return strings.ToLower(strings.TrimPrefix(k.String(), "ENDPOINT_KIND_"))
}

// shownAddress is the address of an endpoint, or its id where nothing tells that.
func shownAddress(e *customerv1.Endpoint) string {
	switch {
	case e.GetValue() == "":
		return e.GetId()
	case e.GetNamespace() != "":
		return e.GetNamespace() + ":" + e.GetValue()
	}
	return e.GetValue()
}
