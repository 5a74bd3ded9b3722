package blobs

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"

	"github.com/skein-cx/skein/pkg/blob"
	"github.com/skein-cx/skein/pkg/rpc"
	blobv1 "github.com/skein-cx/skein/proto/skein/blob/v1"
)

// pieceSize is how many bytes of a file one message holds.
const pieceSize = 256 << 10

// Server answers skein.blob.v1.BlobService.
type Server struct {
	blobv1.UnimplementedBlobServiceServer
	service *Service
}

// NewServer answers for a service.
func NewServer(s *Service) *Server { return &Server{service: s} }

// Register puts the service on a gRPC server.
func (s *Server) Register(r grpc.ServiceRegistrar) { blobv1.RegisterBlobServiceServer(r, s) }

// Download sends a file or a part of it.
func (s *Server) Download(req *blobv1.DownloadRequest, stream grpc.ServerStreamingServer[blobv1.DownloadResponse]) error {
	ctx := stream.Context()
	f, err := s.service.find(ctx, req.GetKey())
	if errors.Is(err, errNotFound) {
		return rpc.NotFound(err)
	}
	if err != nil {
		return err
	}
	if req.GetOffset() > f.size {
		return rpc.OutOfRange(fmt.Errorf("blobs: the file has %d bytes, and %d are to be left out", f.size, req.GetOffset()))
	}
	length := f.size - req.GetOffset()
	if req.GetLength() > 0 {
		length = min(length, req.GetLength())
	}
	err = stream.Send(&blobv1.DownloadResponse{Piece: &blobv1.DownloadResponse_Info{Info: &blobv1.FileInfo{
		Size: f.size, MediaType: f.mime, Offset: req.GetOffset(), Length: length, Etag: f.etag(),
	}}})
	if err != nil || length == 0 {
		return err
	}
	return s.send(ctx, f, req.GetOffset(), length, stream)
}

func (s *Server) send(ctx context.Context, f *file, offset, length int64, stream grpc.ServerStreamingServer[blobv1.DownloadResponse]) error {
	r, err := s.service.cfg.Store.Open(ctx, f.key, offset, length)
	if err != nil {
		return fmt.Errorf("blobs: %w", err)
	}
	defer func() { _ = r.Close() }() // nothing was written
	piece := make([]byte, pieceSize)
	for {
		n, err := io.ReadFull(r, piece)
		if n > 0 {
			if err := stream.Send(&blobv1.DownloadResponse{Piece: &blobv1.DownloadResponse_Data{Data: piece[:n]}}); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return fmt.Errorf("blobs: read %s: %w", f.key, err)
		}
	}
}

// Upload takes a file in.
func (s *Server) Upload(stream grpc.ClientStreamingServer[blobv1.UploadRequest, blobv1.UploadResponse]) error {
	first, err := stream.Recv()
	if errors.Is(err, io.EOF) {
		return rpc.InvalidField("info", errors.New("is missing: the first message says where the file belongs"))
	}
	if err != nil {
		return err
	}
	if first.GetInfo() == nil {
		return rpc.InvalidField("info", errors.New("is missing: the first message says where the file belongs"))
	}
	ref, err := s.service.put(stream.Context(), first.GetInfo(), &pieces{stream: stream})
	switch {
	case errors.Is(err, blob.ErrTooLarge):
		return rpc.InvalidField("data", fmt.Errorf("is larger than the limit of %d bytes", s.service.cfg.MaxUpload))
	case errors.Is(err, errMismatch):
		return rpc.InvalidField("data", err)
	case errors.Is(err, errSecondInfo):
		return rpc.InvalidField("info", err)
	case err != nil:
		return err
	}
	return stream.SendAndClose(&blobv1.UploadResponse{Blob: ref})
}

var errSecondInfo = errors.New("stands in the first message only")

// pieces reads the bytes of an upload.
type pieces struct {
	stream grpc.ClientStreamingServer[blobv1.UploadRequest, blobv1.UploadResponse]
	rest   []byte
}

func (p *pieces) Read(b []byte) (int, error) {
	for len(p.rest) == 0 {
		m, err := p.stream.Recv()
		if err != nil {
			return 0, err
		}
		if m.GetInfo() != nil {
			return 0, errSecondInfo
		}
		p.rest = m.GetData()
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}
